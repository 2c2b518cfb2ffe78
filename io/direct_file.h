#pragma once
/// Reading large files past the system's cache. Private to io.
///
/// A usual read brings bytes into the cache and then copies them, which takes twice the memory, and
/// most of the time if the disk is fast. Direct reads (O_DIRECT of Linux) let the disk write to the
/// target itself; the price is that the cache does not get the bytes.

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

  /// Opens the file behind `descriptor` once more; if the system cannot, read() reads nothing.
  void open(int descriptor);
  bool is_open() const { return descriptor_ >= 0; }
  /// Reads whole blocks from `offset` on to `data` and returns the number of bytes read: fewer than
  /// `bytes` if these do not end with a block, 0 if `offset` or `data` are not aligned to blocks or
  /// the system refuses. The caller reads the rest as usual, which also reports errors.
  size_t read(int64_t offset, void* data, size_t bytes) const;

 private:
  int descriptor_ = -1;
};

/// The share of a file of `bytes` bytes that the system's cache holds, 0 to 1; 1 if unknown.
double cached_share(int descriptor, int64_t bytes);

}  // namespace softmoe
