#include "datasets/formats/webp.h"

#include <opencv2/core.hpp>
#include <vector>

#include "core/error.h"
#include "datasets/formats/opencv_image.h"
#include "datasets/formats/orientation.h"
#include "datasets/formats/picture_size.h"

namespace softmoe {
namespace {

constexpr size_t kFileHeader = 12;  // RIFF, a size, WEBP
constexpr size_t kChunkHeader = 8;  // a name, a size
constexpr size_t kFrameHeader = 16;

/// A chunk with its data, which may be cut short.
struct WebpChunk {
  Bytes whole;
  Bytes data;
};

/// The first of `chunks` that is called `name`.
std::optional<WebpChunk> find_chunk(Bytes chunks, std::string_view name) {
  while (chunks.size() >= kChunkHeader) {
    const auto size = *number_at(chunks, 4, 4, ByteOrder::kLittle);
    if (has_text(chunks, 0, name)) {
      return WebpChunk{bytes_at(chunks, 0, kChunkHeader + size),
                       bytes_at(chunks, kChunkHeader, size)};
    }
    chunks = bytes_from(chunks, kChunkHeader + size + size % 2);
  }
  return std::nullopt;
}

uint64_t field(Bytes data, size_t offset, size_t count) {
  const auto value = number_at(data, offset, count, ByteOrder::kLittle);
  if (!value) {
    throw InputError("it is cut short");
  }
  return *value;
}

/// The coded picture among `chunks`, with or without loss, after a check of its size.
Bytes coded_picture(Bytes chunks) {
  constexpr uint64_t kSideMask = (1 << 14) - 1;
  if (const auto lossy = find_chunk(chunks, "VP8 ")) {
    check_picture_size(field(lossy->data, 6, 2) & kSideMask, field(lossy->data, 8, 2) & kSideMask);
    return lossy->whole;
  }
  if (const auto lossless = find_chunk(chunks, "VP8L")) {
    const auto sides = field(lossless->data, 1, 4);
    check_picture_size((sides & kSideMask) + 1, ((sides >> 14) & kSideMask) + 1);
    return lossless->whole;
  }
  throw InputError("it has no picture");
}

/// A WebP file of one chunk.
std::vector<uint8_t> simple_file(Bytes picture) {
  std::vector<uint8_t> file;
  const auto append = [&](std::string_view text) {
    file.insert(file.end(), text.begin(), text.end());
  };
  append("RIFF");
  for (int shift = 0; shift < 32; shift += 8) {
    file.push_back(static_cast<uint8_t>((picture.size() + picture.size() % 2 + 4) >> shift));
  }
  append("WEBP");
  file.insert(file.end(), picture.begin(), picture.end());
  file.resize(file.size() + file.size() % 2, 0);
  return file;
}

/// The first frame of an animation, on a canvas of this size.
cv::Mat decode_first_frame(Bytes chunks, int width, int height) {
  const auto frame = find_chunk(chunks, "ANMF");
  if (!frame) {
    throw InputError("it is an animation without frames");
  }
  const auto left = static_cast<int>(2 * field(frame->data, 0, 3));
  const auto top = static_cast<int>(2 * field(frame->data, 3, 3));
  const auto file = simple_file(coded_picture(bytes_from(frame->data, kFrameHeader)));
  const auto picture = decode_with_opencv(file);  // [frame height, frame width] x 3
  if (left > width - picture.cols || top > height - picture.rows) {
    throw InputError("its first frame is larger than the picture");
  }
  cv::Mat canvas = cv::Mat::zeros(height, width, CV_8UC3);
  picture.copyTo(canvas(cv::Rect(left, top, picture.cols, picture.rows)));
  return canvas;
}

cv::Mat decode_stored(Bytes bytes, Bytes chunks) {
  constexpr uint64_t kAnimation = 0x02;
  const auto extended = find_chunk(chunks, "VP8X");
  if (!extended) {
    coded_picture(chunks);
    return decode_with_opencv(bytes);
  }
  const auto width = field(extended->data, 4, 3) + 1;
  const auto height = field(extended->data, 7, 3) + 1;
  check_picture_size(width, height);
  if ((field(extended->data, 0, 1) & kAnimation) != 0) {
    return decode_first_frame(chunks, static_cast<int>(width), static_cast<int>(height));
  }
  coded_picture(chunks);
  return decode_with_opencv(bytes);
}

}  // namespace

cv::Mat decode_webp(Bytes bytes) {
  const auto chunks = bytes_from(bytes, kFileHeader);
  const auto image = decode_stored(bytes, chunks);  // [height, width] x 3
  const auto exif = find_chunk(chunks, "EXIF");
  const auto xmp = find_chunk(chunks, "XMP ");
  const auto by_exif = exif ? exif_orientation(exif->data) : std::nullopt;
  const auto by_xmp = xmp ? xmp_orientation(xmp->data) : std::nullopt;
  return upright(image, by_exif.value_or(by_xmp.value_or(1)));
}

}  // namespace softmoe
