#pragma once
/// Image files: which files are images, and their pixels.

#include <cstdint>
#include <filesystem>
#include <opencv2/core/mat.hpp>
#include <span>
#include <string>
#include <vector>

namespace softmoe {

/// Returns true if the extension of `path` is that of a format that is read: JPEG, PNG, WebP, BMP,
/// TIFF, JPEG 2000, PNM and the other formats that OpenCV decodes.
bool is_image_name(const std::filesystem::path& path);

/// Decodes the bytes of an image file to uint8 with 3 channels in RGB order, upright (EXIF
/// orientation applied), transparency dropped. `where` names the image in errors. Throws
/// InputError for a damaged image, even if a decoder would fill the missing part with gray.
cv::Mat decode_image(std::span<const uint8_t> bytes, const std::string& where);

/// The bytes of a file; throws InputError that names it.
std::vector<uint8_t> read_bytes(const std::filesystem::path& path);

/// The decoded image of a file: read_bytes(), then decode_image().
cv::Mat load_image(const std::filesystem::path& path);

/// `image` (1 channel, or 3 in RGB order) as a PNG file.
std::vector<uint8_t> encode_png(const cv::Mat& image);

}  // namespace softmoe
