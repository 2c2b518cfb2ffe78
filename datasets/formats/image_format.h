#pragma once
/// What a file is by its first bytes, whatever its name says.

#include <filesystem>
#include <opencv2/core/mat.hpp>
#include <string>

#include "datasets/formats/byte_view.h"
#include "datasets/formats/picture_part.h"

namespace softmoe {

/// A format of images.
struct ImageFormat {
  std::string_view name;  ///< such as "WebP image"
  /// Decodes to uint8 [height, width] x 3 in RGB order, upright, and throws InputError that does
  /// not name the file. nullptr if the format is not read.
  cv::Mat (*decode)(Bytes bytes) = nullptr;
  /// Decodes a part of a picture and may leave out the rest; nullptr if the format has no such
  /// decoder.
  PicturePart (*decode_part)(Bytes bytes, const PartRequest& request) = nullptr;
};

/// The format of an image; nullptr if the bytes are no image of a known format.
const ImageFormat* find_image_format(Bytes bytes);

/// What a file that is no image is, for a message: "an HTML page", "gzip data", "text that begins
/// 'Not Found'", or "" if that is not known.
std::string other_content(Bytes bytes);

/// Returns true if the extension of `path` is that of a format that is read: JPEG, PNG, WebP, BMP,
/// TIFF, JPEG 2000, PNM, ...
bool is_image_name(const std::filesystem::path& path);

/// Returns true if the extension of `path` is that of an image format that is not read.
bool is_unread_image_name(const std::filesystem::path& path);

}  // namespace softmoe
