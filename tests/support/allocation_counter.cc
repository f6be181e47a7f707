#include "tests/support/allocation_counter.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<size_t> all{0};
std::atomic<size_t> large{0};

void* counted(size_t size) noexcept {
  ++all;
  if (size >= 1024) ++large;
  return std::malloc(size == 0 ? 1 : size);
}

void* orThrow(void* memory) {
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

// Every form: sanitizers check that what is deleted came from the operator's counterpart.
void* operator new(size_t size) {
  return orThrow(counted(size));
}
void* operator new[](size_t size) {
  return orThrow(counted(size));
}
void* operator new(size_t size, const std::nothrow_t& /*tag*/) noexcept {
  return counted(size);
}
void* operator new[](size_t size, const std::nothrow_t& /*tag*/) noexcept {
  return counted(size);
}
void operator delete(void* p) noexcept {
  std::free(p);
}
void operator delete[](void* p) noexcept {
  std::free(p);
}
void operator delete(void* p, size_t /*size*/) noexcept {
  std::free(p);
}
void operator delete[](void* p, size_t /*size*/) noexcept {
  std::free(p);
}

namespace spolia::test {

size_t allocations() {
  return all;
}

size_t largeAllocations() {
  return large;
}

}  // namespace spolia::test
