#pragma once
/// The first directory of a TIFF file. EXIF data is such a file, too.

#include "datasets/formats/byte_view.h"

namespace softmoe {

/// Entries of the first directory, by the number of their tag. Bytes that are no TIFF file, or that
/// end before the directory does, have those entries that are there whole.
/// Source: TIFF, revision 6.0, section 2; BigTIFF, which has offsets of 8 bytes.
class TiffDirectory {
 public:
  /// `bytes` must outlive this.
  explicit TiffDirectory(Bytes bytes);

  /// The first value of an entry of integers of 1, 2, 4 or 8 bytes; nothing if there is none.
  std::optional<uint64_t> value(uint16_t tag) const;
  /// The bytes of that value, a part of the file.
  Bytes value_bytes(uint16_t tag) const;
  /// All bytes of an entry of texts or single bytes.
  Bytes text(uint16_t tag) const;

  ByteOrder order() const { return order_; }

 private:
  /// The kind and the values of an entry.
  struct Entry {
    uint64_t kind = 0;
    Bytes values;
  };
  Entry entry(uint16_t tag) const;

  Bytes bytes_;
  ByteOrder order_ = ByteOrder::kLittle;
  size_t offset_bytes_ = 4;  // of an offset and of a count of values
  uint64_t first_ = 0;       // where the entries begin
  uint64_t count_ = 0;       // of the entries
};

}  // namespace softmoe
