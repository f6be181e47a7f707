#include "engine/transformer/layer.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "engine/kernels/activation.h"
#include "engine/kernels/norm.h"
#include "engine/transformer/attention.h"
#include "engine/transformer/dense_kv.h"

namespace spolia::engine {

namespace {

// Rows a thread takes at a time in row-wise steps, about 10 us of work.
constexpr size_t kRowsAtOnce = 16;

// Rows whose gate and up projections exist at the same time. 512 rows of two times ffn columns are
// 6 MiB at ffn 1536, which stay in the L3 cache until the down projection reads them.
constexpr size_t kFfnRows = 512;

// body(r) for each row, in parallel.
template <typename Body>
void forRows(size_t rows, ThreadPool& pool, const Body& body) {
  pool.parallelFor((rows + kRowsAtOnce - 1) / kRowsAtOnce, [&](size_t block) {
    const size_t end = std::min(rows, (block + 1) * kRowsAtOnce);
    for (size_t r = block * kRowsAtOnce; r < end; ++r) body(r);
  });
}

void normRows(const LayerContext& context, const MatrixView& in, const Matrix& weight,
              const MutableMatrixView& out) {
  forRows(in.rows(), context.pool, [&](size_t r) {
    rmsNorm(in.row(r), weight.row(0), in.columns(), context.config.rmsEps, out.row(r));
  });
}

// What projections lack until they are queries, keys and values: biases, and norms of each head.
// Both do nothing in a model without them.
void addBias(const Matrix& bias, float* row) {
  for (size_t i = 0; i < bias.columns(); ++i) row[i] += bias.row(0)[i];
}
void normHeads(const LayerContext& context, const Matrix& weight, size_t heads, float* row) {
  if (weight.empty()) return;
  const size_t dim = context.config.headDim;
  for (size_t h = 0; h < heads; ++h, row += dim) {
    rmsNorm(row, weight.row(0), dim, context.config.rmsEps, row);
  }
}
void finishQuery(const LayerContext& context, float* q) {
  addBias(context.weights.qBias, q);
  normHeads(context, context.weights.qNorm, context.config.heads, q);
}
void finishKv(const LayerContext& context, float* k, float* v) {
  addBias(context.weights.kBias, k);
  addBias(context.weights.vBias, v);
  normHeads(context, context.weights.kNorm, context.config.kvHeads, k);
}

// Rows that see position 0 and themselves, where position 1 is.
struct AloneRows {
  MutableMatrixView q;  // as projected
  MatrixView k, v;      // of all rows of the pass
  MutableMatrixView out;
  size_t first;  // row of k and v that q begins with
};

void attendAlone(const LayerContext& context, const KvPages& pages, const AloneRows& rows) {
  const ModelConfig& config = context.config;
  const size_t dim = config.headDim;
  const size_t group = config.heads / config.kvHeads;
  DenseKv front(config, codec::ElementType::kF32, 1, 1);
  pages.exportRows(context.layer, 0, 1, front.target());
  const auto frontHead = [&](codec::Plane plane, size_t head) {
    return reinterpret_cast<const float*>(
        front.view().at(0, plane, static_cast<uint32_t>(head), 0));
  };
  const RopeTable::Angles angles = context.rope.at(1);
  const float scale = config.attentionScale();
  forRows(rows.q.rows(), context.pool, [&](size_t r) {
    std::vector<float> key(dim);
    finishQuery(context, rows.q.row(r));
    for (size_t h = 0; h < config.heads; ++h) {
      const size_t kvHead = h / group;
      float* query = rows.q.row(r) + h * dim;
      const float* value = rows.v.row(rows.first + r) + kvHead * dim;
      rotateHead(query, angles, dim, scale, query);
      rotateHead(rows.k.row(rows.first + r) + kvHead * dim, angles, dim, 1.0f, key.data());
      const float* frontKey = frontHead(codec::Plane::kK, kvHead);
      const float* frontValue = frontHead(codec::Plane::kV, kvHead);
      float own = 0;
      for (size_t c = 0; c < dim; ++c) own += query[c] * (key[c] - frontKey[c]);
      const float share = 1.0f / (1.0f + std::exp(-own));
      float* out = rows.out.row(r) + h * dim;
      for (size_t c = 0; c < dim; ++c) out[c] = frontValue[c] + share * (value[c] - frontValue[c]);
    }
  });
}

// hidden += down(silu(gate(normed)) * up(normed)), some rows at a time.
void feedForward(const LayerContext& context, const BlockRows& rows) {
  const LayerWeights& w = context.weights;
  for (size_t first = 0; first < rows.hidden.rows(); first += kFfnRows) {
    const size_t count = std::min(kFfnRows, rows.hidden.rows() - first);
    const MutableMatrixView gate = rows.gate.rowRange(0, count);
    const MutableMatrixView up = rows.up.rowRange(0, count);
    const Product products[] = {{w.gate, gate}, {w.up, up}};
    multiply(rows.normed.rowRange(first, count), products, Accumulate::kReplace, context.pool,
             context.rounding);
    forRows(count, context.pool,
            [&](size_t r) { siluMultiply(gate.row(r), up.row(r), gate.columns(), gate.row(r)); });
    multiply(gate, w.down, rows.hidden.rowRange(first, count), Accumulate::kAdd, context.pool,
             context.rounding);
  }
}

}  // namespace

BlockRows BlockRows::from(size_t first) const {
  const size_t count = hidden.rows() - first;
  const auto rest = [&](const MutableMatrixView& all) { return all.rowRange(first, count); };
  return {rest(hidden), rest(normed), rest(q), rest(k), rest(v), rest(attended), gate, up};
}

BlockRows blockRows(Matrix& hidden, PassScratch& scratch, size_t first, size_t count) {
  const auto front = [](Matrix& matrix, size_t rows) {
    return matrix.mutableView().rowRange(0, rows);
  };
  const size_t ffnRows = ffnScratchRows(count);
  return {hidden.mutableView().rowRange(first, count),
          front(scratch.normed, count),
          front(scratch.q, count),
          front(scratch.k, count),
          front(scratch.v, count),
          front(scratch.attended, count),
          front(scratch.gate, ffnRows),
          front(scratch.up, ffnRows)};
}

PassScratch makeScratch(const ModelConfig& config, size_t rows) {
  PassScratch scratch;
  scratch.normed = Matrix(rows, config.hiddenSize);
  scratch.q = Matrix(rows, config.queryChannels());
  scratch.k = Matrix(rows, config.kvChannels());
  scratch.v = Matrix(rows, config.kvChannels());
  scratch.attended = Matrix(rows, config.queryChannels());
  scratch.gate = Matrix(ffnScratchRows(rows), config.ffnSize);
  scratch.up = Matrix(ffnScratchRows(rows), config.ffnSize);
  return scratch;
}

void projectRows(const LayerContext& context, const BlockRows& rows) {
  const LayerWeights& w = context.weights;
  normRows(context, rows.hidden, w.attnNorm, rows.normed);
  const Product qkv[] = {{w.q, rows.q}, {w.k, rows.k}, {w.v, rows.v}};
  multiply(rows.normed, qkv, Accumulate::kReplace, context.pool, context.rounding);
}

void storeRow(const LayerContext& context, uint32_t position, float* k, float* v, KvPages& pages) {
  finishKv(context, k, v);
  pages.writeRow(context.layer, position, k, v);
}

void rotateQueries(const LayerContext& context, std::span<const uint32_t> positions,
                   const MutableMatrixView& q) {
  const size_t headDim = context.config.headDim;
  const float scale = context.config.attentionScale();
  forRows(q.rows(), context.pool, [&](size_t r) {
    finishQuery(context, q.row(r));
    const RopeTable::Angles angles = context.rope.at(positions[r]);
    for (size_t h = 0; h < context.config.heads; ++h) {
      float* head = q.row(r) + h * headDim;
      rotateHead(head, angles, headDim, scale, head);
    }
  });
}

void finishRows(const LayerContext& context, const BlockRows& rows) {
  const LayerWeights& w = context.weights;
  multiply(rows.attended, w.o, rows.hidden, Accumulate::kAdd, context.pool, context.rounding);
  if (!w.oBias.empty()) {
    forRows(rows.hidden.rows(), context.pool,
            [&](size_t r) { addBias(w.oBias, rows.hidden.row(r)); });
  }
  normRows(context, rows.hidden, w.ffnNorm, rows.normed);
  feedForward(context, rows);
}

void runBlock(const LayerContext& context, Pass& pass, KvPages& pages, const RowRange& range) {
  const BlockRows all = blockRows(pass.hidden, pass.scratch, range.first, range.count);
  const std::span<const uint32_t> positions =
      std::span(pass.positions).subspan(range.first, range.count);
  projectRows(context, all);
  forRows(range.count, context.pool,
          [&](size_t r) { storeRow(context, positions[r], all.k.row(r), all.v.row(r), pages); });
  if (range.firstOutput >= range.count) return;

  // From here on only rows whose output somebody reads.
  const BlockRows rows = all.from(range.firstOutput);
  const std::span<const uint32_t> seeing = positions.subspan(range.firstOutput);
  if (pass.context == RowContext::kAlone) {
    attendAlone(context, pages, {rows.q, all.k, all.v, rows.attended, range.firstOutput});
  } else {
    rotateQueries(context, seeing, rows.q);
    WorkingKv& kv = pages.working();
    const uint32_t window = context.config.windowOf(context.layer);
    kv.load(pages, context.layer, seeing.back() + 1, context.rope, context.pool,
            firstKeyOf(seeing.front(), window));
    attend(rows.q, seeing, kv, window, rows.attended, context.pool);
  }
  finishRows(context, rows);
}

void projectKv(const LayerContext& context, const MatrixView& hidden,
               const MutableMatrixView& normed, const MutableMatrixView& k,
               const MutableMatrixView& v) {
  normRows(context, hidden, context.weights.attnNorm, normed);
  const Product products[] = {{context.weights.k, k}, {context.weights.v, v}};
  multiply(normed, products, Accumulate::kReplace, context.pool, context.rounding);
  forRows(hidden.rows(), context.pool, [&](size_t r) { finishKv(context, k.row(r), v.row(r)); });
}

size_t ffnScratchRows(size_t rows) {
  return std::min(rows, kFfnRows);
}

}  // namespace spolia::engine
