#include "runtime/arena.h"

#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>

namespace softmoe {

void Arena::reset(size_t bytes) {
  used_ = 0;
  if (bytes > size_) {
    memory_.clear();  // first, so that the old and the new memory are not there at once
    size_ = 0;
    memory_ = c10::GetCPUAllocator()->allocate(bytes);
    size_ = bytes;
  }
}

std::byte* Arena::take_bytes(size_t bytes) {
  const size_t first = used_;
  used_ += bytes;
  if (is_counting_) {
    return nullptr;
  }
  TORCH_INTERNAL_ASSERT(used_ <= size_, "arena of ", size_, " bytes is too small");
  return static_cast<std::byte*>(memory_.get()) + first;
}

Arena& thread_arena() {
  thread_local Arena arena;
  return arena;
}

}  // namespace softmoe
