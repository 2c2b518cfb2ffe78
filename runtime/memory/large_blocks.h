#pragma once
/// Blocks of memory of whole large pages.

#include <cstddef>
#include <list>
#include <mutex>
#include <unordered_map>

namespace softmoe {

/// Blocks in use or idle. All functions may be called from any thread.
class LargeBlocks {
 public:
  /// Bytes of a large page. Blocks begin at a multiple of them.
  static constexpr size_t kPageBytes = size_t{2} << 20;

  /// A block of `bytes` bytes, a multiple of kPageBytes; null if the system has no memory left.
  void* take(size_t bytes);

  /// Makes a block idle. Returns false if `memory` is none of the blocks.
  bool put_back(void* memory);

  /// Gives all idle blocks back to the system.
  void release_all();

 private:
  struct Block {
    void* memory;
    size_t bytes;
  };

  /// The idle block of that size that was used last, or null.
  void* take_idle(size_t bytes);
  /// Unmaps the blocks that have been idle longest until no more than `bytes` are idle.
  void release(size_t bytes);

  std::mutex mutex_;
  std::list<Block> idle_;  // the longest idle first
  std::unordered_map<void*, size_t> used_;
  size_t idle_bytes_ = 0;
  size_t used_bytes_ = 0;
  size_t max_used_bytes_ = 0;  // at once
};

}  // namespace softmoe
