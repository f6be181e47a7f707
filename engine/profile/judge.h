// The judge of a lossy codec: what the model says next when the KV of a passage is not what it was.
//
// A passage stands as in a prompt: BOS at position 0, the cached tokens at 1 .. n, the continued
// ones behind. The reference are the model's predictions at the continued rows over the fp16 cache;
// a measurement are those with the cached rows replaced by what a scheme restored. BOS is always
// exact, pages are f32, so that nothing but the scheme's loss tells the two apart. Stay inside the
// window the model was trained on: behind it every loss looks ten times as bad.
//
// Borrows model, transformer and pool. One thread at a time; the pool is kept busy.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "codec/base/result.h"
#include "engine/kernels/matrix.h"
#include "engine/kernels/thread_pool.h"
#include "engine/model/model.h"
#include "engine/profile/kv_sample.h"
#include "engine/profile/passages.h"
#include "engine/transformer/forward.h"
#include "engine/transformer/kv_pages.h"

namespace spolia::engine {

// Over all continued rows of all passages.
struct Agreement {
  double kl = 0;    // mean KL(reference || measured), nats
  double top1 = 0;  // share of rows whose likeliest token is the same
};

KvShape shapeOf(const ModelConfig& config);

class Judge {
 public:
  Judge(const Model& model, const Transformer& transformer, ThreadPool& pool);

  // The KV of the cached tokens of each passage, rounded to fp16: what schemes compress and learn
  // from. The continued ones are not looked at. Errors as those of Transformer::begin.
  Result<std::vector<KvSample>> sample(std::span<const Passage> passages) const;

  // Computes what is compared with; the passages are of one length, with continued tokens. Keeps
  // all predictions: a float for each row and token of the vocabulary.
  Status setReference(std::vector<Passage> passages);
  // Of the reference's passages.
  const std::vector<KvSample>& samples() const { return samples_; }

  // `restored`: one a passage, in the order of KvSample::values.
  Result<Agreement> compare(std::span<const std::vector<float>> restored) const;
  // The same without any cached row: how much damage the judge can see. The continued rows attend
  // to BOS and to themselves only, in their places; to BOS even where a layer's window ends before.
  Result<Agreement> compareRemoved() const;
  // Nats a token of the continued tokens but each passage's first, over the fp16 cache.
  double crossEntropy() const;

 private:
  // Log probabilities [row][vocabulary] of the continued rows of a passage, placed from
  // `firstPosition` on over what `pages` hold before it.
  Result<Matrix> predict(const Passage& passage, uint32_t firstPosition, KvPages& pages) const;
  Result<Matrix> predictOver(const Passage& passage, std::span<const float> values,
                             KvPages& pages) const;
  Status computeBos();
  void importBos(KvPages& pages, uint32_t turnedBack) const;
  KvPages makePages(size_t rows) const;

  const Model& model_;
  const Transformer& transformer_;
  ThreadPool& pool_;
  const KvShape shape_;
  std::vector<float> bos_;  // [layer][K, V][channel] of the BOS row, not rounded
  std::vector<Passage> passages_;
  std::vector<KvSample> samples_;
  std::vector<Matrix> reference_;  // [passage], log probabilities
};

}  // namespace spolia::engine
