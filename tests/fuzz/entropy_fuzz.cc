// Symbol blocks and frequency tables: any symbols come back; a block with damage at chosen places
// gives symbols or an error, and never reads beyond its end. The vector coder does what the
// reference does, on the best target of the machine and on one chosen by the input.
#include <algorithm>

#include "codec/entropy/rans_scalar.h"
#include "codec/entropy/rans_simd_decoder.h"
#include "codec/entropy/rans_simd_encoder.h"
#include "codec/entropy/rans_tables.h"
#include "codec/entropy/simd_targets.h"
#include "codec/entropy/symbol_block.h"
#include "tests/fuzz/fuzz_target.h"

namespace spolia::codec {
namespace {

// Reads in pieces as decoders do. Nothing when the block is refused.
std::optional<std::vector<uint8_t>> readBlock(ByteSpan block, size_t count) {
  ByteReader in(block);
  SymbolReader reader;
  if (!reader.open(in, count).ok()) return std::nullopt;
  std::vector<uint8_t> out(count);
  const size_t first = count / 3;
  reader.read(std::span(out).first(first));
  reader.read(std::span(out).subspan(first));
  if (!reader.finish().ok()) return std::nullopt;
  return out;
}

template <typename Decoder>
std::optional<std::vector<uint8_t>> decodePayload(ByteSpan payload, const FrequencyTable& table,
                                                  size_t count, bool& finished) {
  static Decoder decoder;
  if (!decoder.start(payload, table).ok()) return std::nullopt;
  std::vector<uint8_t> out(count);
  decoder.decode(std::span(out).first(count / 3));
  decoder.decode(std::span(out).subspan(count / 3));
  finished = decoder.finished();
  return out;
}

// A table, then a payload, as they come; bytes that are no table are counted to make one.
void sameAsReference(fuzz::Choices in) {
  static const std::vector<std::string> targets = simdTargets();
  const ForcedSimdTarget forced(targets[in.any() % targets.size()]);
  const size_t count = in.any<uint16_t>() % 4096;
  const ByteSpan rest = in.rest();
  if (rest.empty()) return;
  ByteReader reader(rest);
  Result<FrequencyTable> table = readFrequencies(reader);
  if (!table.ok()) {
    std::vector<uint8_t> bytes;
    for (std::byte b : rest) bytes.push_back(std::to_integer<uint8_t>(b));
    table = normalise(countSymbols(bytes));
    reader = ByteReader(rest);
  }
  const ByteSpan payload = reader.bytes(reader.remaining());
  bool finished[2] = {};
  FUZZ_CHECK(decodePayload<RansDecoder>(payload, *table, count, finished[0]) ==
             decodePayload<RansBlockDecoder>(payload, *table, count, finished[1]));
  FUZZ_CHECK(finished[0] == finished[1]);
  std::vector<uint8_t> symbols;
  for (std::byte b : rest) {
    const auto symbol = std::to_integer<uint8_t>(b);
    if (table->frequency[symbol] > 0) symbols.push_back(symbol);
  }
  ByteWriter reference;
  ByteWriter out;
  ransEncode(symbols, *table, reference);
  ransSimdEncode(symbols, *table, out);
  FUZZ_CHECK(std::ranges::equal(reference.view(), out.view()));
}

void tables(ByteSpan bytes) {
  ByteReader in(bytes);
  const Result<FrequencyTable> table = readFrequencies(in);
  if (!table.ok()) return;
  uint32_t sum = 0;
  for (uint16_t f : table->frequency) sum += f;
  FUZZ_CHECK(sum == kRansProbabilityTotal);
  ByteWriter out;
  writeFrequencies(*table, out);
  ByteReader again(out.view());
  const Result<FrequencyTable> back = readFrequencies(again);
  FUZZ_CHECK(back.ok() && *back == *table && again.finished());
}

void blocks(fuzz::Choices in) {
  const size_t damaged = in.any() % 4;
  uint16_t places[4][2];
  for (auto& place : places) {
    place[0] = in.any<uint16_t>();
    place[1] = in.any<uint16_t>();
  }
  const uint8_t mask = static_cast<uint8_t>((1 << in.any() % 9) - 1);  // few symbols or many
  std::vector<uint8_t> symbols;
  for (std::byte b : in.rest()) symbols.push_back(std::to_integer<uint8_t>(b) & mask);
  ByteWriter out;
  writeSymbolBlock(symbols, out);
  const auto back = readBlock(out.view(), symbols.size());
  FUZZ_CHECK(back && *back == symbols);
  Bytes block = out.take();
  for (size_t i = 0; i < damaged; ++i) {
    // Half of them where lengths and tables stand.
    const size_t within = i % 2 == 0 ? std::min<size_t>(block.size(), 64) : block.size();
    block[places[i][0] % within] = static_cast<std::byte>(places[i][1]);
  }
  readBlock(block, symbols.size());
}

}  // namespace
}  // namespace spolia::codec

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace spolia;
  const ByteSpan bytes(reinterpret_cast<const std::byte*>(data), size);
  codec::tables(bytes);
  if (size > 1) codec::readBlock(bytes.subspan(1), data[0] * 16u);
  codec::sameAsReference(fuzz::Choices(data, std::min<size_t>(size, 2048)));
  codec::blocks(fuzz::Choices(data, std::min<size_t>(size, 8192)));
  return 0;
}
