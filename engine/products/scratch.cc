#include "engine/products/scratch.h"

#include <array>

#include "codec/base/aligned_buffer.h"

namespace spolia::engine {

float* scratchFloats(ScratchUser user, size_t floats) {
  thread_local std::array<AlignedBuffer, static_cast<size_t>(ScratchUser::kCount)> buffers;
  AlignedBuffer& buffer = buffers[static_cast<size_t>(user)];
  const size_t bytes = floats * sizeof(float);
  if (buffer.size() < bytes) buffer = AlignedBuffer(bytes);
  return reinterpret_cast<float*>(buffer.data());
}

}  // namespace spolia::engine
