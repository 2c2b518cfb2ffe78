#pragma once
/// Reading large files past the system's cache. Private to core.
///
/// A file of which the cache holds nothing is first read into memory of the cache and then copied:
/// twice the memory, and most of the time where the disk is fast. Direct reads (O_DIRECT of Linux)
/// let the disk write to where the bytes are to be; the price is that the cache does not get them.

#include <cstddef>
#include <cstdint>

namespace softmoe {

/// A second descriptor of an open file. Several threads may use one object.
class DirectFile {
 public:
  DirectFile() = default;
  ~DirectFile();
  DirectFile(const DirectFile&) = delete;
  DirectFile& operator=(const DirectFile&) = delete;

  /// Opens the file behind `descriptor` once more; where the system cannot, read() does nothing.
  void open(int descriptor);
  bool is_open() const { return descriptor_ >= 0; }
  /// Reads whole blocks from `offset` on to `data` and returns the bytes read: fewer than `bytes`
  /// where these do not end with a block, 0 where `offset` or `data` are not aligned to blocks or
  /// the system refuses. The rest is to be read as usual, which also tells what is wrong.
  size_t read(int64_t offset, void* data, size_t bytes) const;

 private:
  int descriptor_ = -1;
};

/// The share of a file of `bytes` bytes that the system's cache holds, 0 to 1; 1 where it is not
/// known.
double cached_share(int descriptor, int64_t bytes);

}  // namespace softmoe
