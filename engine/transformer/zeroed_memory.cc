#include "engine/transformer/zeroed_memory.h"

#include <sys/mman.h>

#include "codec/base/check.h"

namespace spolia::engine {

ZeroedMemory::ZeroedMemory(size_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  SPOLIA_CHECK(memory != MAP_FAILED);
  // Faulting in 4 KiB pages would cost more than the first pass reads from them. Refusal is fine.
  (void)madvise(memory, bytes, MADV_HUGEPAGE);
  data_ = static_cast<std::byte*>(memory);
}

ZeroedMemory::~ZeroedMemory() {
  if (data_ != nullptr) munmap(data_, bytes_);
}

}  // namespace spolia::engine
