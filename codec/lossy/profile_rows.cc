#include "codec/lossy/profile_rows.h"

#include <algorithm>

#include "codec/entropy/symbol_block.h"

namespace spolia::codec {
namespace {

// Rows of a symbol block: neighbours are alike in how far they reach.
constexpr uint64_t kRowsAtATime = 16;
constexpr int32_t kMiddle = 128;

}  // namespace

void writeRows(const std::vector<int8_t>& rows, uint32_t channels, ByteWriter& out) {
  std::vector<uint8_t> symbols;
  for (size_t begin = 0; begin < rows.size(); begin += symbols.size()) {
    symbols.clear();
    const size_t end = std::min<size_t>(rows.size(), begin + kRowsAtATime * channels);
    for (size_t i = begin; i < end; ++i) {
      symbols.push_back(static_cast<uint8_t>(rows[i] + kMiddle));
    }
    writeSymbolBlock(symbols, out);
  }
}

Status readRows(ByteReader& in, uint64_t count, uint32_t channels, RowBudget& budget,
                std::vector<int8_t>& rows) {
  const uint64_t size = count * channels;
  if (!budget.take(size)) {
    return Status(ErrorCode::kCorrupt, "more than a profile of this length may hold");
  }
  rows.resize(size);
  SymbolReader reader;
  for (uint64_t begin = 0; begin < size;) {
    const uint64_t some = std::min<uint64_t>(size - begin, kRowsAtATime * channels);
    SPOLIA_RETURN_IF_ERROR(reader.open(in, some));
    reader.read({reinterpret_cast<uint8_t*>(rows.data() + begin), some});
    SPOLIA_RETURN_IF_ERROR(reader.finish());
    begin += some;
  }
  for (int8_t& value : rows) {
    value = static_cast<int8_t>(static_cast<uint8_t>(value) - kMiddle);
  }
  return {};
}

}  // namespace spolia::codec
