// Entropy coding of a frame's coefficients: integers by token and component, packed four components
// at a time into symbols of their classes, all symbols of the frame in one rANS payload. Specified
// in codec/FORMAT.md ("Coefficients").
//
// Coefficients of a block of components lie as [token][component]; a block's components are a
// multiple of kPackComponents. Values of magnitude above kMaxCoefficient do not occur.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "codec/base/bytes.h"
#include "codec/base/result.h"
#include "codec/entropy/rans_simd_decoder.h"
#include "codec/entropy/rans_simd_encoder.h"
#include "codec/lossy/step_classes.h"

namespace spolia::codec {

inline constexpr int32_t kMaxCoefficient = 8191;

// What one level stores of coefficients. kWhole: the values. kFine: how far each value is from the
// next lower level's, -1 to 1, which is added to what is there.
enum class CoefficientPart : uint8_t { kWhole, kFine };

// Tables of all classes, ready to code with. Built once; never changes; any thread.
struct PreparedTables {
  explicit PreparedTables(const ClassTables& tables, uint32_t lastPair = kLearntLastPair);

  // How the coefficients of a class are packed.
  PackForm pack(CoefficientPart part, uint32_t stepClass) const {
    return part == CoefficientPart::kFine ? kFinePack : coarsePack(stepClass, lastPair);
  }

  ClassTables tables;
  uint32_t lastPair;
  std::vector<RansEncodeTable> coarseEncode, fineEncode;  // [class]
  std::vector<RansDecodeTable> coarseDecode, fineDecode;
  std::array<uint16_t, kStepClasses> coarseLikeliest{}, fineLikeliest{};  // frequencies
};

// Of the built-in tables.
const PreparedTables& builtInPrepared();

// Four components of a block, all tokens.
struct CoefficientGroup {
  int16_t* first = nullptr;  // of the first token
  size_t tokenStride = 0;    // values
  uint32_t stepClass = 0;    // at the step of the level that is coded
};

// Scratch of a reader or a writer; grows to what the largest frame needs and is then kept.
struct CoefficientScratch {
  std::vector<uint32_t> order;
  std::vector<uint8_t> symbols;
  std::vector<int16_t> values;  // of one group
  std::vector<RansRun> runs;
  RansSimdDecoder decoder;
};

// Appends the coefficients. The groups stand in any order; both sides put them into the order of
// their classes, which is why they agree on it.
void writeCoefficients(std::span<const CoefficientGroup> groups, uint32_t tokens,
                       CoefficientPart part, const PreparedTables& tables,
                       CoefficientScratch& scratch, ByteWriter& out);

// How often each symbol of each class occurs.
struct ClassCounts {
  std::array<SymbolCounts, kStepClasses> coarse{};
  std::array<SymbolCounts, kStepClasses> fine{};
};
// Adds the symbols that writeCoefficients() would code.
void countCoefficients(std::span<const CoefficientGroup> groups, uint32_t tokens,
                       CoefficientPart part, ClassCounts& counts);

// Whether coefficients that are not all zero can stand in so few bytes: before memory is taken for
// them.
bool coefficientsFit(size_t bytes, std::span<const CoefficientGroup> groups, uint32_t tokens,
                     CoefficientPart part, const PreparedTables& tables);

// Reads what writeCoefficients() wrote, to the end of `in`: kWhole sets the coefficients to `scale`
// times the stored value, kFine adds. kCorrupt when malformed.
Status readCoefficients(ByteReader& in, std::span<const CoefficientGroup> groups, uint32_t tokens,
                        CoefficientPart part, int16_t scale, const PreparedTables& tables,
                        CoefficientScratch& scratch);

}  // namespace spolia::codec
