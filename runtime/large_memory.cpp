#include "runtime/large_memory.h"

#include <c10/core/CPUAllocator.h>
#include <sys/mman.h>

#include <algorithm>
#include <list>
#include <mutex>
#include <unordered_map>

namespace softmoe {
namespace {

constexpr size_t kPage = size_t{2} << 20;
/// Smaller tensors stay with the C library, which keeps their memory itself.
constexpr size_t kLeastBytes = size_t{8} << 20;

void* map_pages(size_t bytes) {
  // More than needed, so that it can begin at a large page; what is too much goes back.
  void* const mapped = ::mmap(nullptr, bytes + kPage, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS, /*fd=*/-1, /*offset=*/0);
  if (mapped == MAP_FAILED) {
    return nullptr;
  }
  auto* const start = static_cast<char*>(mapped);
  const size_t before = (kPage - reinterpret_cast<uintptr_t>(start) % kPage) % kPage;
  if (before > 0) {
    ::munmap(start, before);
  }
  ::munmap(start + before + bytes, kPage - before);
#ifdef MADV_HUGEPAGE
  ::madvise(start + before, bytes, MADV_HUGEPAGE);
#endif
  return start + before;
}

/// Blocks of whole large pages, in use or idle. All functions may be called from any thread.
class LargeBlocks {
 public:
  /// Null where the system has no memory left.
  void* take(size_t bytes) {
    const std::scoped_lock lock(mutex_);
    void* memory = take_idle(bytes);
    if (memory == nullptr) {
      most_bytes_ = std::max(most_bytes_, used_bytes_ + bytes);
      release(most_bytes_ - used_bytes_ - bytes);
      memory = map_pages(bytes);
      if (memory == nullptr) {
        release(0);
        memory = map_pages(bytes);
      }
    }
    if (memory != nullptr) {
      used_[memory] = bytes;
      used_bytes_ += bytes;
    }
    return memory;
  }

  /// False for memory that is none of the blocks.
  bool put_back(void* memory) {
    if (reinterpret_cast<uintptr_t>(memory) % kPage != 0) {
      return false;
    }
    const std::scoped_lock lock(mutex_);
    const auto block = used_.find(memory);
    if (block == used_.end()) {
      return false;
    }
    idle_.push_back({memory, block->second});
    idle_bytes_ += block->second;
    used_bytes_ -= block->second;
    used_.erase(block);
    return true;
  }

  void release_all() {
    const std::scoped_lock lock(mutex_);
    release(0);
    most_bytes_ = used_bytes_;
  }

 private:
  struct Block {
    void* memory;
    size_t bytes;
  };

  /// The block of that size that was used last, or null.
  void* take_idle(size_t bytes) {
    const auto block = std::find_if(idle_.rbegin(), idle_.rend(),
                                    [bytes](const Block& idle) { return idle.bytes == bytes; });
    if (block == idle_.rend()) {
      return nullptr;
    }
    void* const memory = block->memory;
    idle_.erase(std::next(block).base());
    idle_bytes_ -= bytes;
    return memory;
  }

  /// Unmaps what has been idle longest until no more than `bytes` are idle.
  void release(size_t bytes) {
    while (idle_bytes_ > bytes) {
      ::munmap(idle_.front().memory, idle_.front().bytes);
      idle_bytes_ -= idle_.front().bytes;
      idle_.pop_front();
    }
  }

  std::mutex mutex_;
  std::list<Block> idle_;  // the longest idle first
  std::unordered_map<void*, size_t> used_;
  size_t idle_bytes_ = 0;
  size_t used_bytes_ = 0;
  size_t most_bytes_ = 0;  // that were in use at once
};

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
    if (bytes >= kLeastBytes && bytes < SIZE_MAX / 2) {
      memory = large_blocks().take((bytes + kPage - 1) / kPage * kPage);
    }
    if (memory == nullptr) {
      // It says by itself where there is no memory.
      memory = small_tensors->raw_allocate(bytes);
    }
    return {memory, memory, free_tensor, c10::Device(c10::DeviceType::CPU)};
  }

  c10::DeleterFnPtr raw_deleter() const override { return free_tensor; }

  void copy_data(void* target, const void* source, size_t count) const override {
    default_copy_data(target, source, count);
  }
};

}  // namespace

void keep_large_tensors() {
  static const bool done = [] {
    small_tensors = c10::GetCPUAllocator();
    free_small = small_tensors->raw_deleter();
    if (free_small != nullptr) {
      c10::SetCPUAllocator(new TensorAllocator, /*priority=*/1);
    }
    return true;
  }();
  static_cast<void>(done);
}

void use_large_pages(void* data, size_t bytes) {
#ifdef MADV_HUGEPAGE
  const auto begin = reinterpret_cast<uintptr_t>(data);
  const uintptr_t first = (begin + kPage - 1) / kPage * kPage;
  const uintptr_t last = (begin + bytes) / kPage * kPage;
  if (first < last) {
    ::madvise(static_cast<char*>(data) + (first - begin), last - first, MADV_HUGEPAGE);
  }
#endif
}

void release_large_memory() { large_blocks().release_all(); }

}  // namespace softmoe
