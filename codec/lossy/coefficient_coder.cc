#include "codec/lossy/coefficient_coder.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>

#include "codec/base/varint.h"
#include "codec/lossy/pack_rows.h"

namespace spolia::codec {
namespace {

// The first byte: whether anything but zeros is there.
constexpr uint8_t kAllZero = 0;
constexpr uint8_t kCoded = 1;
// Of one class, that are decoded in one go: a short one leaves the decoder little to do at a time.
constexpr size_t kGroupsAtATime = 8;

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

// Runs of a group's values: side by side, as vectors want them, where they are not.
bool together(const CoefficientGroup& group) {
  return group.tokenStride == kPackComponents;
}
void gather(const CoefficientGroup& group, uint32_t tokens, int16_t* to) {
  for (uint32_t t = 0; t < tokens; ++t, to += kPackComponents) {
    std::memcpy(to, group.first + t * group.tokenStride, kPackComponents * sizeof *to);
  }
}
void scatter(const int16_t* from, uint32_t tokens, const CoefficientGroup& group) {
  for (uint32_t t = 0; t < tokens; ++t, from += kPackComponents) {
    std::memcpy(group.first + t * group.tokenStride, from, kPackComponents * sizeof *from);
  }
}

// Which symbols are written as escapes: those that have no frequency, and the escape.
std::array<uint8_t, 256> escapedBy(const FrequencyTable& table, PackForm form) {
  std::array<uint8_t, 256> out{};
  for (size_t s = 0; s < out.size(); ++s) out[s] = table.frequency[s] == 0 ? 1 : 0;
  out[form.escape()] = 1;
  return out;
}

// Appends the values of symbols that are escapes, or become ones.
void takeEscaped(std::span<uint8_t> symbols, const int16_t* values, PackForm form,
                 const std::array<uint8_t, 256>& escapes, ByteWriter& escaped) {
  const auto takeOne = [&](size_t i) {
    if (escapes[symbols[i]] == 0) return;
    symbols[i] = static_cast<uint8_t>(form.escape());
    for (uint32_t k = 0; k < form.values; ++k) {
      writeVarint(zigzag(values[i * form.values + k]), escaped);
    }
  };
  constexpr size_t kAtATime = 8;  // most have none
  size_t i = 0;
  for (; i + kAtATime <= symbols.size(); i += kAtATime) {
    uint8_t any = 0;
    for (size_t k = 0; k < kAtATime; ++k) any |= escapes[symbols[i + k]];
    for (size_t k = 0; any != 0 && k < kAtATime; ++k) takeOne(i + k);
  }
  for (; i < symbols.size(); ++i) takeOne(i);
}

// Puts the values behind escapes where they belong.
Status restoreEscaped(std::span<const uint8_t> symbols, PackForm form, int16_t scale, int16_t* to,
                      ByteReader& escaped) {
  const auto escape = static_cast<int>(form.escape());
  const uint8_t* const end = symbols.data() + symbols.size();
  const auto next = [&](const uint8_t* at) {
    return static_cast<const uint8_t*>(std::memchr(at, escape, static_cast<size_t>(end - at)));
  };
  for (const uint8_t* at = next(symbols.data()); at != nullptr; at = next(at + 1)) {
    int16_t* values = to + (at - symbols.data()) * form.values;
    for (uint32_t k = 0; k < form.values; ++k) {
      uint32_t coded = 0;
      const bool whole = readVarint(escaped, coded);
      const int32_t value = unzigzag(coded);
      if (!whole || value < -kMaxCoefficient || value > kMaxCoefficient) {
        return Status(ErrorCode::kCorrupt, "coefficients: value out of range");
      }
      values[k] =
          static_cast<int16_t>(std::clamp(value * scale, -kMaxCoefficient, kMaxCoefficient));
    }
  }
  return {};
}

// One group's symbols to its coefficients.
Status readGroup(std::span<const uint8_t> symbols, PackForm pack, bool fine, int16_t scale,
                 const CoefficientGroup& group, uint32_t tokens, std::vector<int16_t>& values,
                 ByteReader& escaped) {
  int16_t* const to = together(group) ? group.first : values.data();
  if (fine && !together(group)) gather(group, tokens, to);
  const uint8_t most = unpackSymbols(symbols.data(), symbols.size(), pack, fine, scale, to);
  if (most >= pack.escape()) {
    if (fine || most > pack.escape()) {
      return Status(ErrorCode::kCorrupt, "coefficients: unknown symbol");
    }
    SPOLIA_RETURN_IF_ERROR(restoreEscaped(symbols, pack, scale, to, escaped));
  }
  if (!together(group)) scatter(to, tokens, group);
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
                       CoefficientPart part, const PreparedTables& tables,
                       CoefficientScratch& scratch, ByteWriter& out) {
  const bool fine = part == CoefficientPart::kFine;
  const size_t each = size_t{tokens} * kPackComponents;
  orderByClass(groups, scratch.order);
  scratch.symbols.resize(std::max(scratch.symbols.size(), groups.size() * each));
  scratch.values.resize(each);
  scratch.runs.clear();
  uint8_t* end = scratch.symbols.data();
  ByteWriter escaped;
  bool any = false;
  std::array<uint8_t, 256> escapes{};
  uint32_t escapesOf = kStepClasses;
  for (uint32_t at : scratch.order) {
    const CoefficientGroup& group = groups[at];
    const PackForm form = tables.pack(part, group.stepClass);
    if (group.stepClass != escapesOf) {
      escapesOf = group.stepClass;
      escapes = escapedBy((fine ? tables.tables.fine : tables.tables.coarse)[escapesOf], form);
    }
    const int16_t* values = group.first;
    if (!together(group)) {
      gather(group, tokens, scratch.values.data());
      values = scratch.values.data();
    }
    const std::span symbols(end, each / form.values);
    any |= packValues(values, symbols.size(), form, symbols.data());
    takeEscaped(symbols, values, form, escapes, escaped);
    end += symbols.size();
    const RansEncodeTable* const table =
        &(fine ? tables.fineEncode : tables.coarseEncode)[group.stepClass];
    if (!scratch.runs.empty() && scratch.runs.back().table == table) {
      scratch.runs.back().count += symbols.size();
    } else {
      scratch.runs.push_back({symbols.size(), table});
    }
  }
  out.u8(any ? kCoded : kAllZero);
  if (!any) return;
  writeVarint(static_cast<uint32_t>(escaped.size()), out);
  out.bytes(escaped.view());
  ransSimdEncode({scratch.symbols.data(), end}, scratch.runs, out);
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
  const size_t each = size_t{tokens} * kPackComponents;
  orderByClass(groups, scratch.order);
  scratch.symbols.resize(std::max(scratch.symbols.size(), each * kGroupsAtATime));
  scratch.values.resize(each);
  for (size_t i = 0; i < groups.size();) {
    const uint32_t stepClass = groups[scratch.order[i]].stepClass;
    const PackForm pack = tables.pack(part, stepClass);
    size_t end = i + 1;
    while (end < groups.size() && end < i + kGroupsAtATime &&
           groups[scratch.order[end]].stepClass == stepClass) {
      ++end;
    }
    const size_t run = each / pack.values;
    decoder.use((fine ? tables.fineDecode : tables.coarseDecode)[stepClass]);
    decoder.decode({scratch.symbols.data(), run * (end - i)});
    for (const uint8_t* from = scratch.symbols.data(); i < end; ++i, from += run) {
      SPOLIA_RETURN_IF_ERROR(readGroup({from, run}, pack, fine, scale, groups[scratch.order[i]],
                                       tokens, scratch.values, escaped));
    }
  }
  if (!decoder.finished() || !escaped.finished()) {
    return Status(ErrorCode::kCorrupt, "coefficients: bytes do not end where they should");
  }
  return {};
}

}  // namespace spolia::codec
