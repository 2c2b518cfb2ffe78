#pragma once
/// Image files: their bytes and their pixels. datasets/formats/ knows the formats.

#include <cstdint>
#include <filesystem>
#include <opencv2/core/mat.hpp>
#include <span>
#include <string>
#include <vector>

#include "datasets/formats/picture_part.h"

namespace softmoe {

/// The maximum size of an image file.
inline constexpr uint64_t kMaxImageFileBytes = uint64_t{1} << 30;

/// Decodes the bytes of an image file to uint8 with 3 channels in RGB order, upright (by EXIF, XMP
/// or the format's own orientation), transparency dropped; of several pictures the first. `where`
/// names the image in errors. Throws InputError for a damaged image, even if a decoder would fill
/// the missing part with gray, for one that is too large (check_picture_size) or does not fit in
/// memory, and for files of other formats, which the message names.
cv::Mat decode_image(std::span<const uint8_t> bytes, const std::string& where);

/// Decodes what `request` needs of an image file: of formats with such a decoder the part that it
/// chooses, of others everything. Pixels, orientation and errors are those of decode_image(), but
/// damage outside of the part may pass unnoticed, and scaled pixels are averages.
PicturePart decode_image_part(std::span<const uint8_t> bytes, const std::string& where,
                              const PartRequest& request);

/// The bytes of a file or pipe, to its end. Throws InputError that names it, also if it has more
/// than kMaxImageFileBytes.
std::vector<uint8_t> read_bytes(const std::filesystem::path& path);

/// What is left to read from an open file or pipe, which messages call `name`. Throws InputError
/// like read_bytes() of a path.
std::vector<uint8_t> read_bytes(int file, const std::string& name);

/// The decoded image of a file: read_bytes(), then decode_image().
cv::Mat load_image(const std::filesystem::path& path);

/// `image` (1 channel, or 3 in RGB order) as a PNG file.
std::vector<uint8_t> encode_png(const cv::Mat& image);

}  // namespace softmoe
