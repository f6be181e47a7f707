// What frames of learnt transforms restore, against the transform in doubles.
#include "codec/lossy/lossy_frame.h"

#include <gtest/gtest.h>

#include <limits>

#include "codec/values/quant_rows.h"

#include "tests/codec/lossy/fitting_kv.h"

namespace spolia::codec {
namespace {

// Half a step, and what the encoder rounds down further: see lossy_frame.cc.
constexpr double kMostSteps = 0.58;
constexpr double kSlack = 0.004;  // steps: f32 arithmetic

const std::vector<LayerShape> kLayers{{3, 5}, {1, 16}, {2, 9}};

struct FrameCase {
  const char* name;
  BlockCut cut;
  uint8_t history;
  uint32_t codeRank;
  uint32_t components;
  bool mixed = false;
};
constexpr FrameCase kCases[] = {
    {"heads", BlockCut::kHead, 0, 0, kAllComponents},
    {"twoHeads", BlockCut::kTwoHeads, 1, 7, 4},
    {"planes", BlockCut::kPlane, 2, 7, 12},
    {"planesLongCodes", BlockCut::kPlane, 2, 48, kAllComponents},
    {"nothingStored", BlockCut::kPlane, 1, 1, 0},
    {"nothingLearnt", BlockCut::kPlane, 0, 0, 0},
    {"noCodes", BlockCut::kPlane, 2, 0, 12},
    {"layers", BlockCut::kLayer, 1, 48, 12},
    {"all", BlockCut::kAll, 2, 7, kAllComponents},
    {"mixed", BlockCut::kHead, 1, 7, 0, true},
    {"mixedPlanes", BlockCut::kPlane, 2, 48, 0, true},
};

ProfileRecipe recipeOf(const FrameCase& c, uint32_t seed) {
  ProfileRecipe recipe;
  recipe.layers = kLayers;
  recipe.cut = c.cut;
  recipe.history = c.history;
  recipe.codeRank = c.codeRank;
  recipe.narrowCodes = seed % 4 * 5;
  recipe.components = c.components;
  recipe.mixed = c.mixed;
  recipe.ownTables = seed % 2 == 0;
  recipe.seed = seed;
  return recipe;
}

// Steps that a coefficient may be stored as.
double mostSteps(uint8_t shift) {
  return std::min(kMaxCoefficient, 32767 >> shift);
}

// What levels 0 to `read` of `levels` restore: every coefficient is the nearest of its lattice, and
// every value what the coefficients mean.
void checkRestored(const LossySample& sample, int gain, uint32_t levelsBelow, GoldenKv& kv,
                   GoldenKv& got) {
  const PlainTransform plain(sample.profile->data(), 2, sample.identity.tokens);
  const double step = plain.step(gain);
  const double coarse = std::pow(3.0, levelsBelow);
  for (const ProfileBlock& block : plain.blocks()) {
    for (uint32_t t = 0; t < sample.identity.rows(); ++t) {
      const auto want = plain.coefficients(block, kv.view(), t);
      auto have = plain.coefficients(block, got.view(), t);
      for (uint32_t j = 0; j < have.size(); ++j) {
        const double steps = std::round(have[j] / (step * coarse)) * coarse;
        ASSERT_NEAR(have[j] / step, steps, kSlack * coarse + std::abs(steps) * 1e-5);
        const double bounded =
            std::clamp(want[j] / step, -mostSteps(block.shifts[j]), mostSteps(block.shifts[j]));
        // The finest level's error and then, of whole numbers, at most half of what is left out.
        ASSERT_LE(std::abs(bounded - steps), kMostSteps + (coarse - 1) / 2 + kSlack)
            << "token " << t << " component " << j << " of " << want[j] / step;
        have[j] = steps * step;
      }
      for (uint32_t c = 0; c < block.channels(); ++c) {
        const double value = plain.value(block, t, c, have);
        const double unit = block.scale[c] * step;
        ASSERT_NEAR(plain.read(got.view(), block.begin + c, t), value,
                    unit * kSlack + std::abs(value) * 1e-5);
      }
    }
  }
}

TEST(LossyFrame, ErrorIsWithinAStepOfEachLevel) {
  uint32_t seed = 0;
  for (const FrameCase& c : kCases) {
    SCOPED_TRACE(c.name);
    ++seed;
    LossySample sample(recipeOf(c, seed), madeUpIdentity(23, seed), ElementType::kF32, seed);
    for (uint8_t levels = 1; levels <= kMaxLossyLevels; ++levels) {
      const Bytes stream = sample.encoded(sample.options(levels, 9));
      for (uint8_t read = 0; read < levels; ++read) {
        SCOPED_TRACE(std::to_string(levels) + " levels, up to " + std::to_string(read));
        GoldenKv got = sample.decoded(stream, read);
        checkRestored(sample, 0, levels - 1u - read, sample.kv, got);
        if (HasFatalFailure()) return;
      }
    }
  }
}

// Coarser levels are the finest one's values rounded to threes, exactly.
TEST(LossyFrame, CoarserLevelsAreTheNearestOfTheirLattice) {
  LossySample sample(recipeOf(kCases[2], 4), madeUpIdentity(17), ElementType::kF32);
  const Bytes stream = sample.encoded(sample.options(3));
  const PlainTransform plain(sample.profile->data(), 2, sample.identity.tokens);
  GoldenKv finest = sample.decoded(stream);
  for (uint8_t read = 0; read < 2; ++read) {
    GoldenKv got = sample.decoded(stream, read);
    const double coarse = std::pow(3.0, 2 - read);
    for (const ProfileBlock& block : plain.blocks()) {
      for (uint32_t t = 0; t < 17; ++t) {
        const auto fine = plain.coefficients(block, finest.view(), t);
        const auto have = plain.coefficients(block, got.view(), t);
        for (uint32_t j = 0; j < have.size(); ++j) {
          const double steps = std::round(fine[j] / plain.step(0));
          ASSERT_EQ(std::round(have[j] / plain.step(0)), std::round(steps / coarse) * coarse);
        }
      }
    }
  }
}

TEST(LossyFrame, GainWidensTheStep) {
  ProfileRecipe recipe = recipeOf(kCases[8], 6);
  LossySample sample(recipe, madeUpIdentity(12), ElementType::kF32);
  size_t before = SIZE_MAX;
  for (int gain : {-24, -13, -4, -1, 0, 1, 4, 7, 24}) {
    SCOPED_TRACE(gain);
    EncodeOptions options = sample.options(2, 5);
    options.gain = static_cast<int8_t>(gain);
    const Bytes stream = sample.encoded(options);
    GoldenKv got = sample.decoded(stream);
    checkRestored(sample, gain, 0, sample.kv, got);
    if (HasFatalFailure()) return;
    EXPECT_LE(stream.size(), before);
    before = stream.size();
  }
}

// Values a thousand times wider than the profile expects: escapes, and an end to what fits.
TEST(LossyFrame, WildValuesAreBoundedNotWrapped) {
  for (int seed = 1; seed <= 3; ++seed) {
    LossySample sample(recipeOf(kCases[seed], static_cast<uint32_t>(seed)), madeUpIdentity(20),
                       ElementType::kF32);
    std::mt19937 random(static_cast<uint32_t>(seed));
    sample.kv.forEachHead([&](MutableByteSpan head) {
      for (size_t i = 0; i < head.size(); i += sizeof(float)) {
        const float v = static_cast<float>(static_cast<int32_t>(random() % 2000) - 1000);
        std::memcpy(head.data() + i, &v, sizeof v);
      }
    });
    for (uint8_t levels = 1; levels <= kMaxLossyLevels; ++levels) {
      GoldenKv got = sample.decoded(sample.encoded(sample.options(levels)));
      const PlainTransform plain(sample.profile->data(), 2, sample.identity.tokens);
      for (const ProfileBlock& block : plain.blocks()) {
        for (uint32_t t = 0; t < 20; ++t) {
          const auto want = plain.coefficients(block, sample.kv.view(), t);
          const auto have = plain.coefficients(block, got.view(), t);
          for (uint32_t j = 0; j < have.size(); ++j) {
            const double limit = mostSteps(block.shifts[j]);
            const double bounded = std::clamp(want[j] / plain.step(0), -limit, limit);
            // At the limit a coarser level may have had nothing above it to round to.
            ASSERT_NEAR(have[j] / plain.step(0), bounded, 0.6 + limit * 1e-4 + 1) << int{levels};
          }
        }
      }
    }
  }
}

TEST(LossyFrame, AnImageIsPredictedFromNothing) {
  const uint32_t rows = 19;
  LossySample sample(recipeOf(kCases[2], 8), madeUpImage(rows), ElementType::kF32);
  GoldenKv got = sample.decoded(sample.encoded(sample.options(2, 8)));
  checkRestored(sample, 0, 0, sample.kv, got);
}

// Finite, but far beyond what the channels' scales can make of it.
TEST(LossyFrame, ExtremeValuesStayFinite) {
  const float most = std::numeric_limits<float>::max();
  const float values[] = {most, -most, 0, 1, 1e-38f, -1e30f, 3e20f, -most, most, most};
  for (const FrameCase& c : kCases) {
    SCOPED_TRACE(c.name);
    LossySample sample(recipeOf(c, 2), madeUpIdentity(9), ElementType::kF32);
    size_t at = 0;
    sample.kv.forEachHead([&](MutableByteSpan head) {
      for (size_t i = 0; i < head.size(); i += sizeof(float)) {
        std::memcpy(head.data() + i, &values[at++ % std::size(values)], sizeof(float));
      }
    });
    for (ElementType type : {ElementType::kF32, ElementType::kF16, ElementType::kBf16}) {
      GoldenKv got = sample.decoded(sample.encoded(sample.options(3)), UINT8_MAX, type);
      got.forEachHead([&](MutableByteSpan head) {
        std::vector<float> row(head.size() / elementSize(type));
        widenRow(head.data(), type, row.size(), row.data());
        for (float v : row) ASSERT_TRUE(std::isfinite(v));
      });
    }
  }
}

}  // namespace
}  // namespace spolia::codec
