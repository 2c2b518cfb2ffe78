#include "runtime/memory/kept_memory.h"

#include <c10/core/CPUAllocator.h>
#include <malloc.h>
#include <sys/mman.h>

#include <cstdint>

#include "runtime/memory/large_blocks.h"

namespace softmoe {
namespace {

constexpr size_t kPage = LargeBlocks::kPageBytes;
/// Smaller tensors stay with the C library, which keeps their memory itself.
constexpr size_t kMinBytes = size_t{8} << 20;

/// Never destroyed: tensors may be freed while the process ends.
LargeBlocks& large_blocks() {
  static auto* const blocks = new LargeBlocks;
  return *blocks;
}

/// The allocator that was there before; small tensors still come from it.
c10::Allocator* small_tensors = nullptr;
c10::DeleterFnPtr free_small = nullptr;

void free_tensor(void* memory) {
  if (!large_blocks().put_back(memory)) {
    free_small(memory);
  }
}

class TensorAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    void* memory = nullptr;
    if (bytes >= kMinBytes && bytes < SIZE_MAX / 2) {
      memory = large_blocks().take((bytes + kPage - 1) / kPage * kPage);
    }
    if (memory == nullptr) {
      // Throws if there is no memory.
      memory = small_tensors->raw_allocate(bytes);
    }
    return {memory, memory, free_tensor, c10::Device(c10::DeviceType::CPU)};
  }

  c10::DeleterFnPtr raw_deleter() const override { return free_tensor; }

  void copy_data(void* target, const void* source, size_t count) const override {
    default_copy_data(target, source, count);
  }
};

void set_tensor_allocator() {
  small_tensors = c10::GetCPUAllocator();
  free_small = small_tensors->raw_deleter();
  if (free_small != nullptr) {
    c10::SetCPUAllocator(new TensorAllocator, /*priority=*/1);
  }
}

}  // namespace

void keep_freed_memory() {
  static const bool done = [] {
    set_tensor_allocator();
    ::mallopt(M_MMAP_THRESHOLD, 32 << 20);
    ::mallopt(M_TRIM_THRESHOLD, 1 << 30);
    ::mallopt(M_TOP_PAD, 64 << 20);
    return true;
  }();
  static_cast<void>(done);
}

void release_kept_memory() { large_blocks().release_all(); }

void use_large_pages([[maybe_unused]] void* data, [[maybe_unused]] size_t bytes) {
#ifdef MADV_HUGEPAGE
  const auto begin = reinterpret_cast<uintptr_t>(data);
  const uintptr_t first = (begin + kPage - 1) / kPage * kPage;
  const uintptr_t last = (begin + bytes) / kPage * kPage;
  if (first < last) {
    ::madvise(static_cast<char*>(data) + (first - begin), last - first, MADV_HUGEPAGE);
  }
#endif
}

}  // namespace softmoe
