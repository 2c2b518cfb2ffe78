#pragma once
/// Bytes of image files with all that cameras and programs write beside the pixels.

#include <array>
#include <opencv2/core.hpp>
#include <string>
#include <vector>

#include "datasets/formats/byte_view.h"

namespace softmoe::test {

using FileBytes = std::vector<uint8_t>;

/// `text`, then `more`.
FileBytes joined(std::string_view text, const FileBytes& more = {});
/// `value` in `count` bytes.
FileBytes number_bytes(uint64_t value, size_t count, ByteOrder order = ByteOrder::kBig);

/// The kinds of integers in TIFF directories.
enum class TiffKind : uint8_t { kByte = 1, kShort = 3, kLong = 4 };

/// EXIF data, which begins with a TIFF header, with `gap` bytes between the header and the
/// directory and another entry before the orientation.
FileBytes exif_data(int orientation, ByteOrder order, TiffKind kind = TiffKind::kShort,
                    int gap = 0);
/// An XMP packet with the orientation as an attribute.
FileBytes xmp_data(int orientation);

/// The file `jpeg` with one more segment of kind APP1 behind its first marker.
FileBytes jpeg_with(const FileBytes& jpeg, const FileBytes& segment);

/// How a JPEG file stores three colours.
struct JpegStyle {
  int across = 2;  ///< pixels that share a value of the hue in a row: 1, 2 or 4
  int down = 2;    ///< in a column: 1 or 2
  bool is_progressive = false;
};

/// `image` (RGB) as a JPEG file of that style.
FileBytes styled_jpeg(const cv::Mat& image, const JpegStyle& style);

/// How a JPEG file stores four colours.
enum class FourColours { kCmyk, kYcck };

/// A JPEG file of 16 x 8 pixels of one colour, with or without Adobe's marker.
FileBytes four_colour_jpeg(const std::array<uint8_t, 4>& colour, FourColours space, bool adobe);

/// `image` (RGB) by OpenCV's encoder of files with this extension.
FileBytes encoded(const std::string& extension, const cv::Mat& image,
                  const std::vector<int>& parameters = {});

/// The file `png` with a chunk called `name` behind its header.
FileBytes png_with(const FileBytes& png, std::string_view name, const FileBytes& data);
/// A chunk of a WebP file.
FileBytes webp_chunk(std::string_view name, const FileBytes& data);
/// A WebP file of `chunks` behind a header that states flags and the size of the canvas.
FileBytes extended_webp(int width, int height, uint8_t flags, const FileBytes& chunks);
/// The chunk of the picture in a simple WebP file.
FileBytes webp_picture(const FileBytes& webp);
/// A frame of an animated WebP file, at (left, top), both even.
FileBytes webp_frame(const cv::Mat& image, int left, int top);
/// The file `jp2` with EXIF data in a box behind its others.
FileBytes jp2_with_exif(const FileBytes& jp2, const FileBytes& exif);

/// An uncompressed TIFF file of one gray or colour page; `image` has 1, 3 (RGB) or 4 channels (RGB
/// that is not multiplied by alpha) of 8 or 16 bits. Without an orientation if that is 0.
FileBytes tiff_file(const cv::Mat& image, int orientation, ByteOrder order);

}  // namespace softmoe::test
