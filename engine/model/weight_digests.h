// SHA-256 of a model's weights, for its fingerprint. Hashing gigabytes at each start would cost
// seconds, so digests are kept in a small file of the user's, by path, size, time of modification
// and inode of the weight file. The cache is a convenience: one that is absent, broken or not
// writable changes nothing but the time.
#pragma once

#include <filesystem>
#include <optional>

#include "codec/base/digest.h"
#include "engine/model/model_config.h"
#include "engine/model/weight_file.h"
#include "engine/model/weights.h"

namespace spolia::engine {

// $XDG_CACHE_HOME/spolia/weight-digests.json, or below ~/.cache; nothing without a home.
std::optional<std::filesystem::path> defaultDigestCache();

// Digest over the tensors a model of this configuration uses, in order of their names: name, type,
// shape and the SHA-256 of the bytes of its rows in Hugging Face's order, so that one model has one
// digest whatever container holds it. `source` has all of them (Weights::load succeeded). With
// `cache`, tensors of files it knows are not read, and it is brought up to date by replacing the
// file atomically; a file modified within the last two seconds is not noted, as its time could stay
// the same through another change.
Sha256Digest weightsDigest(const ModelConfig& config, const WeightSource& source,
                           const std::optional<std::filesystem::path>& cache);

// The same of weights in memory: equals that of a file which holds them as F32.
Sha256Digest weightsDigest(const ModelConfig& config, const TensorTable& tensors);

}  // namespace spolia::engine
