#include "codec/lossy/coefficient_coder.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>

#include "codec/base/varint.h"
#include "codec/lossy/scaled_tables.h"

namespace spolia::codec {
namespace {

// The first byte: whether anything but zeros is there.
constexpr uint8_t kAllZero = 0;
constexpr uint8_t kCoded = 1;

// Ascending class; within one as given.
void orderByClass(std::span<const CoefficientGroup> groups, std::vector<uint32_t>& order) {
  order.resize(groups.size());
  std::array<uint32_t, kStepClasses + 1> next{};  // by class: the place of its next group
  for (const CoefficientGroup& group : groups) ++next[group.stepClass + 1];
  std::partial_sum(next.begin(), next.end(), next.begin());
  for (uint32_t g = 0; g < groups.size(); ++g) order[next[groups[g].stepClass]++] = g;
}

// The symbol of form.values values; the escape when they are too large.
uint32_t symbolOf(const int16_t* values, PackForm form) {
  uint32_t symbol = 0;
  for (uint32_t i = 0; i < form.values; ++i) {
    const int32_t digit = values[i] + form.reach;
    if (digit < 0 || digit >= static_cast<int32_t>(form.base())) return form.escape();
    symbol = symbol * form.base() + static_cast<uint32_t>(digit);
  }
  return symbol;
}

// One group's symbols, kSymbols a token; gives the end of what it wrote. `any` becomes nonzero with
// the first value that is not zero.
template <uint32_t kSymbols>
uint8_t* packGroup(const CoefficientGroup& group, uint32_t tokens, PackForm form,
                   const FrequencyTable& table, uint8_t* to, ByteWriter& escaped, uint32_t& any) {
  constexpr uint32_t kValues = kPackComponents / kSymbols;
  const int32_t reach = form.reach;
  const auto base = static_cast<int32_t>(form.base());
  const int16_t* values = group.first;
  for (uint32_t t = 0; t < tokens; ++t, values += group.tokenStride) {
    for (uint32_t s = 0; s < kSymbols; ++s) {
      const int16_t* from = values + s * kValues;
      int32_t symbol = 0;
      uint32_t outside = 0;
      for (uint32_t i = 0; i < kValues; ++i) {
        const int32_t digit = from[i] + reach;
        outside |= static_cast<uint32_t>(digit) >= static_cast<uint32_t>(base) ? 1u : 0u;
        any |= static_cast<uint16_t>(from[i]);
        symbol = symbol * base + digit;
      }
      if (outside != 0 || table.frequency[static_cast<size_t>(symbol)] == 0) [[unlikely]] {
        symbol = static_cast<int32_t>(form.escape());
        for (uint32_t i = 0; i < kValues; ++i) writeVarint(zigzag(from[i]), escaped);
      }
      *to++ = static_cast<uint8_t>(symbol);
    }
  }
  return to;
}

// The values of every symbol of a form, kPackComponents / values symbols to a group.
using Unpacked = std::array<std::array<int16_t, kPackComponents>, 256>;

constexpr Unpacked unpackedOf(PackForm form) {
  Unpacked out{};
  for (uint32_t symbol = 0; symbol < form.escape(); ++symbol) {
    uint32_t rest = symbol;
    for (uint32_t i = form.values; i-- > 0; rest /= form.base()) {
      out[symbol][i] = static_cast<int16_t>(static_cast<int32_t>(rest % form.base()) - form.reach);
    }
  }
  return out;
}
constexpr Unpacked kUnpackFour = unpackedOf({4, 1});
constexpr Unpacked kUnpackTwo = unpackedOf({2, 7});
constexpr Unpacked kUnpackOne = unpackedOf({1, 127});
static_assert(coarsePack(0).values == 4 && coarsePack(kStepClasses - 1).values == 1);

const Unpacked& unpackedFor(PackForm form) {
  return form.values == 4 ? kUnpackFour : form.values == 2 ? kUnpackTwo : kUnpackOne;
}

// One group's symbols to its coefficients. kSymbols a token.
template <uint32_t kSymbols>
void unpack(const uint8_t* symbols, uint32_t tokens, const Unpacked& table, bool add, int16_t scale,
            const CoefficientGroup& group) {
  constexpr uint32_t kValues = kPackComponents / kSymbols;
  int16_t* to = group.first;
  for (uint32_t t = 0; t < tokens; ++t, to += group.tokenStride, symbols += kSymbols) {
    int16_t values[kPackComponents];
    for (uint32_t s = 0; s < kSymbols; ++s) {
      std::memcpy(values + s * kValues, table[symbols[s]].data(), kValues * sizeof(int16_t));
    }
    for (uint32_t i = 0; i < kPackComponents; ++i) {
      const int32_t before = add ? to[i] : 0;
      to[i] = static_cast<int16_t>(before + values[i] * scale);
    }
  }
}

void unpackGroup(const uint8_t* symbols, uint32_t tokens, PackForm form, bool add, int16_t scale,
                 const CoefficientGroup& group) {
  const Unpacked& table = unpackedFor(form);
  if (form.values == 4) return unpack<1>(symbols, tokens, table, add, scale, group);
  if (form.values == 2) return unpack<2>(symbols, tokens, table, add, scale, group);
  unpack<4>(symbols, tokens, table, add, scale, group);
}

// Puts the values behind escapes where they belong.
Status restoreEscaped(std::span<const uint8_t> symbols, PackForm form, int16_t scale,
                      const CoefficientGroup& group, ByteReader& escaped) {
  const auto escape = static_cast<uint8_t>(form.escape());
  const uint32_t perToken = kPackComponents / form.values;
  for (size_t i = 0; i < symbols.size(); ++i) {
    if (symbols[i] < escape) continue;
    if (symbols[i] > escape) return Status(ErrorCode::kCorrupt, "coefficients: unknown symbol");
    int16_t* to = group.first + i / perToken * group.tokenStride + i % perToken * form.values;
    for (uint32_t k = 0; k < form.values; ++k) {
      uint32_t coded = 0;
      const bool whole = readVarint(escaped, coded);
      const int32_t value = unzigzag(coded);
      if (!whole || value < -kMaxCoefficient || value > kMaxCoefficient) {
        return Status(ErrorCode::kCorrupt, "coefficients: value out of range");
      }
      to[k] = static_cast<int16_t>(std::clamp(value * scale, -kMaxCoefficient, kMaxCoefficient));
    }
  }
  return {};
}

}  // namespace

PreparedTables::PreparedTables(const ClassTables& from, uint32_t last)
    : tables(from), lastPair(last) {
  for (uint32_t c = 0; c < kStepClasses; ++c) {
    coarseEncode.emplace_back(tables.coarse[c]);
    coarseDecode.emplace_back(tables.coarse[c]);
    fineEncode.emplace_back(tables.fine[c]);
    fineDecode.emplace_back(tables.fine[c]);
    const auto likeliest = [](const FrequencyTable& table) {
      return *std::max_element(table.frequency.begin(), table.frequency.end());
    };
    coarseLikeliest[c] = likeliest(tables.coarse[c]);
    fineLikeliest[c] = likeliest(tables.fine[c]);
  }
}

const PreparedTables& builtInPrepared() {
  static const PreparedTables prepared(builtInTables());
  return prepared;
}

const PreparedTables& scaledPrepared() {
  static const PreparedTables prepared(scaledTables(), kScaledLastPair);
  return prepared;
}

// A symbol of frequency f takes a state x to at most x - (4096 - f) (x / 4096), rounded down, and x
// is 2^16 or more: a little over (4096 - f) / 4096 bits of what the payload has.
bool coefficientsFit(size_t bytes, std::span<const CoefficientGroup> groups, uint32_t tokens,
                     CoefficientPart part, const PreparedTables& tables) {
  const bool fine = part == CoefficientPart::kFine;
  uint64_t least = 0;
  for (const CoefficientGroup& group : groups) {
    const uint32_t likeliest =
        (fine ? tables.fineLikeliest : tables.coarseLikeliest)[group.stepClass];
    const uint64_t symbols =
        uint64_t{tokens} * kPackComponents / tables.pack(part, group.stepClass).values;
    least += symbols * (kRansProbabilityTotal - likeliest);
  }
  return least <= uint64_t{bytes} * 8 * kRansProbabilityTotal;
}

void writeCoefficients(std::span<const CoefficientGroup> groups, uint32_t tokens,
                       CoefficientPart part, const PreparedTables& tables, ByteWriter& out) {
  const bool fine = part == CoefficientPart::kFine;
  std::vector<uint32_t> order;
  orderByClass(groups, order);
  std::vector<uint8_t> symbols(groups.size() * tokens * kPackComponents);
  uint8_t* end = symbols.data();
  ByteWriter escaped;
  std::vector<RansRun> runs;
  uint32_t any = 0;
  for (uint32_t at : order) {
    const CoefficientGroup& group = groups[at];
    const PackForm form = tables.pack(part, group.stepClass);
    const FrequencyTable& table =
        (fine ? tables.tables.fine : tables.tables.coarse)[group.stepClass];
    uint8_t* const begin = end;
    const auto pack = form.values == 4   ? packGroup<1>
                      : form.values == 2 ? packGroup<2>
                                         : packGroup<4>;
    end = pack(group, tokens, form, table, end, escaped, any);
    runs.push_back({static_cast<size_t>(end - begin),
                    &(fine ? tables.fineEncode : tables.coarseEncode)[group.stepClass]});
  }
  out.u8(any != 0 ? kCoded : kAllZero);
  if (any == 0) return;
  writeVarint(static_cast<uint32_t>(escaped.size()), out);
  out.bytes(escaped.view());
  ransSimdEncode({symbols.data(), end}, runs, out);
}

void countCoefficients(std::span<const CoefficientGroup> groups, uint32_t tokens,
                       CoefficientPart part, ClassCounts& counts) {
  for (const CoefficientGroup& group : groups) {
    const PackForm form = part == CoefficientPart::kFine ? kFinePack : coarsePack(group.stepClass);
    SymbolCounts& count =
        (part == CoefficientPart::kFine ? counts.fine : counts.coarse)[group.stepClass];
    for (uint32_t t = 0; t < tokens; ++t) {
      const int16_t* values = group.first + t * group.tokenStride;
      for (uint32_t at = 0; at < kPackComponents; at += form.values) {
        ++count[symbolOf(values + at, form)];
      }
    }
  }
}

Status readCoefficients(ByteReader& in, std::span<const CoefficientGroup> groups, uint32_t tokens,
                        CoefficientPart part, int16_t scale, const PreparedTables& tables,
                        CoefficientScratch& scratch) {
  const bool fine = part == CoefficientPart::kFine;
  const uint8_t form = in.u8();
  if (!in.ok() || form > kCoded) return Status(ErrorCode::kCorrupt, "coefficients: unknown form");
  if (form == kAllZero) {
    for (const CoefficientGroup& group : groups) {
      for (uint32_t t = 0; t < tokens && !fine; ++t) {
        std::fill_n(group.first + t * group.tokenStride, kPackComponents, int16_t{0});
      }
    }
    return {};
  }
  uint32_t escapedBytes = 0;
  if (!readVarint(in, escapedBytes)) return Status(ErrorCode::kCorrupt, "coefficients: cut off");
  ByteReader escaped(in.bytes(escapedBytes));
  if (!in.ok()) return Status(ErrorCode::kCorrupt, "coefficients: cut off");
  RansSimdDecoder& decoder = scratch.decoder;
  SPOLIA_RETURN_IF_ERROR(decoder.start(in.bytes(in.remaining())));
  orderByClass(groups, scratch.order);
  scratch.symbols.resize(size_t{tokens} * kPackComponents);
  for (uint32_t at : scratch.order) {
    const CoefficientGroup& group = groups[at];
    const PackForm pack = tables.pack(part, group.stepClass);
    const std::span symbols(scratch.symbols.data(), size_t{tokens} * kPackComponents / pack.values);
    decoder.use((fine ? tables.fineDecode : tables.coarseDecode)[group.stepClass]);
    decoder.decode(symbols);
    unpackGroup(symbols.data(), tokens, pack, fine, scale, group);
    const auto escape = static_cast<uint8_t>(pack.escape());
    if (*std::max_element(symbols.begin(), symbols.end()) < escape) continue;
    if (fine) return Status(ErrorCode::kCorrupt, "coefficients: unknown symbol");
    SPOLIA_RETURN_IF_ERROR(restoreEscaped(symbols, pack, scale, group, escaped));
  }
  if (!decoder.finished() || !escaped.finished()) {
    return Status(ErrorCode::kCorrupt, "coefficients: bytes do not end where they should");
  }
  return {};
}

}  // namespace spolia::codec
