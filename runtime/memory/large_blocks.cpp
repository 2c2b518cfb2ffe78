#include "runtime/memory/large_blocks.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>

namespace softmoe {
namespace {

void* map_pages(size_t bytes) {
  // More than needed, so that the block can begin at a large page; the rest goes back.
  void* const mapped = ::mmap(nullptr, bytes + LargeBlocks::kPageBytes, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS, /*fd=*/-1, /*offset=*/0);
  if (mapped == MAP_FAILED) {
    return nullptr;
  }
  constexpr size_t kAlignment = LargeBlocks::kPageBytes;
  auto* const start = static_cast<char*>(mapped);
  const size_t before = (kAlignment - reinterpret_cast<uintptr_t>(start) % kAlignment) % kAlignment;
  if (before > 0) {
    ::munmap(start, before);
  }
  ::munmap(start + before + bytes, kAlignment - before);
#ifdef MADV_HUGEPAGE
  ::madvise(start + before, bytes, MADV_HUGEPAGE);
#endif
  return start + before;
}

}  // namespace

void* LargeBlocks::take(size_t bytes) {
  const std::scoped_lock lock(mutex_);
  void* memory = take_idle(bytes);
  if (memory == nullptr) {
    max_used_bytes_ = std::max(max_used_bytes_, used_bytes_ + bytes);
    release(max_used_bytes_ - used_bytes_ - bytes);
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

bool LargeBlocks::put_back(void* memory) {
  if (reinterpret_cast<uintptr_t>(memory) % kPageBytes != 0) {
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

void LargeBlocks::release_all() {
  const std::scoped_lock lock(mutex_);
  release(0);
  max_used_bytes_ = used_bytes_;
}

void* LargeBlocks::take_idle(size_t bytes) {
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

void LargeBlocks::release(size_t bytes) {
  while (idle_bytes_ > bytes) {
    ::munmap(idle_.front().memory, idle_.front().bytes);
    idle_bytes_ -= idle_.front().bytes;
    idle_.pop_front();
  }
}

}  // namespace softmoe
