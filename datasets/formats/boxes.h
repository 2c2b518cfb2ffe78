#pragma once
/// Boxes of JPEG 2000 and ISO media files: a size, a name of four letters, content.

#include "datasets/formats/byte_view.h"

namespace softmoe {

/// A box without its header.
struct MediaBox {
  std::string_view name;
  Bytes content;  ///< cut short if the file is
};

/// Takes the first box from `boxes`, which then begins with the next one; nothing at the end, or if
/// the header is damaged. Source: ISO/IEC 14496-12, section 4.2.
inline std::optional<MediaBox> take_box(Bytes& boxes) {
  const auto short_size = number_at(boxes, 0, 4, ByteOrder::kBig);
  const auto long_size = number_at(boxes, 8, 8, ByteOrder::kBig);
  const auto whole = boxes;
  const uint64_t header = short_size == 1 ? 16 : 8;
  const uint64_t size = short_size == 1   ? long_size.value_or(0)
                        : short_size == 0 ? boxes.size()
                                          : short_size.value_or(0);
  if (size < header || boxes.size() < header) {
    return std::nullopt;
  }
  boxes = bytes_from(whole, size);
  return MediaBox{text_of(whole.subspan(4, 4)), bytes_at(whole, header, size - header)};
}

}  // namespace softmoe
