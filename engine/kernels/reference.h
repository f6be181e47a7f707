// Slow, clear versions of every kernel, summing in double: what tests compare with. Never
// optimised. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/kernels/matrix.h"

namespace spolia::engine::reference {

// out = in * weight^T; in [m][k], weight [n][k].
Matrix multiply(const MatrixView& in, const MatrixView& weight);
void rmsNorm(const float* in, const float* weight, size_t n, float eps, float* out);
void siluMultiply(const float* gate, const float* up, size_t n, float* out);
// Turns a head [headDim] to `position`, the angle rounded as RopeTable says.
void rotateHead(const float* in, uint32_t position, float theta, size_t headDim, float* out);
// Softmax of scores[0 .. n) in place.
void softmax(float* scores, size_t n);
// Attention of one query row of one head over keys 0 .. keys.rows() - 1, all of them visible.
// q [headDim] and keys are rotated, nothing is scaled; out [headDim].
void attend(const float* q, const MatrixView& keys, const MatrixView& values, float* out);
float widenF16(uint16_t bits);
float widenBf16(uint16_t bits);
uint16_t narrowF16(float value);
uint16_t narrowBf16(float value);

}  // namespace spolia::engine::reference
