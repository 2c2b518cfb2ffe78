#include "datasets/image_file.h"

#include <c10/util/Exception.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "core/error.h"
#include "core/lower_case.h"
#include "datasets/jpeg.h"

namespace softmoe {
namespace {

constexpr std::array<std::string_view, 26> kDecodedExtensions = {
    ".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".pjpeg", ".pjp", ".png", ".webp",
    ".bmp", ".dib",  ".tif", ".tiff", ".jp2", ".pbm",   ".pgm", ".ppm", ".pxm",
    ".pnm", ".pfm",  ".sr",  ".ras",  ".hdr", ".pic",   ".exr", ".avif"};

constexpr std::array<uint8_t, 8> kPngSignature = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};

bool is_png(std::span<const uint8_t> bytes) {
  return bytes.size() >= kPngSignature.size() &&
         std::equal(kPngSignature.begin(), kPngSignature.end(), bytes.begin());
}

uint32_t big_endian(std::span<const uint8_t> bytes, size_t at) {
  return (uint32_t{bytes[at]} << 24) | (uint32_t{bytes[at + 1]} << 16) |
         (uint32_t{bytes[at + 2]} << 8) | uint32_t{bytes[at + 3]};
}

/// Checks the chunks of a PNG file; libpng, inside OpenCV, would write errors to stderr.
void check_png(std::span<const uint8_t> bytes, const std::string& where) {
  constexpr size_t kAround = 12;  // length, kind and checksum of a chunk
  for (size_t at = kPngSignature.size(); bytes.size() - at >= kAround;) {
    const size_t length = big_endian(bytes, at);
    if (length > bytes.size() - at - kAround) {
      break;
    }
    const auto checked = bytes.subspan(at + 4, length + 4);
    if (crc32_z(0, checked.data(), checked.size()) != big_endian(bytes, at + 8 + length)) {
      throw InputError(where + ": damaged PNG: a checksum differs");
    }
    if (std::memcmp(checked.data(), "IEND", 4) == 0) {
      return;
    }
    at += kAround + length;
  }
  throw InputError(where + ": damaged PNG: it is cut short");
}

cv::Mat decode_with_opencv(std::span<const uint8_t> bytes, const std::string& where) {
  // OpenCV would write to stderr, too, what it reports by an empty image.
  [[maybe_unused]] static const auto silenced =
      cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
  cv::Mat image;
  try {
    const cv::Mat view(1, static_cast<int>(bytes.size()), CV_8U,
                       const_cast<uint8_t*>(bytes.data()));
    image = cv::imdecode(view, cv::IMREAD_COLOR);
  } catch (const cv::Exception& error) {
    throw InputError(where + ": cannot be decoded as an image: " + error.err);
  }
  if (image.empty()) {
    throw InputError(where + ": cannot be decoded as an image");
  }
  cv::cvtColor(image, image, cv::COLOR_BGR2RGB);
  return image;
}

}  // namespace

bool is_image_name(const std::filesystem::path& path) {
  const auto extension = lower_case(path.extension().string());
  return std::find(kDecodedExtensions.begin(), kDecodedExtensions.end(), extension) !=
         kDecodedExtensions.end();
}

cv::Mat decode_image(std::span<const uint8_t> bytes, const std::string& where) {
  if (bytes.empty()) {
    throw InputError(where + ": the image is empty");
  }
  if (is_jpeg(bytes)) {
    return decode_jpeg(bytes, where);
  }
  if (is_png(bytes)) {
    check_png(bytes, where);
  }
  return decode_with_opencv(bytes, where);
}

std::vector<uint8_t> read_bytes(const std::filesystem::path& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat status {};
  std::vector<uint8_t> bytes;
  size_t done = 0;
  bool ok = file >= 0 && ::fstat(file, &status) == 0;
  if (ok) {
    bytes.resize(static_cast<size_t>(status.st_size));
  }
  while (ok && done < bytes.size()) {
    const ssize_t count = ::read(file, bytes.data() + done, bytes.size() - done);
    if (count == 0) {
      bytes.resize(done);
    } else if (count > 0) {
      done += static_cast<size_t>(count);
    } else {
      ok = errno == EINTR;
    }
  }
  const int error_number = errno;
  if (file >= 0) {
    ::close(file);
  }
  if (!ok) {
    throw InputError("cannot read " + path.string() + ": " + system_error_text(error_number));
  }
  return bytes;
}

cv::Mat load_image(const std::filesystem::path& path) {
  return decode_image(read_bytes(path), path.string());
}

std::vector<uint8_t> encode_png(const cv::Mat& image) {
  cv::Mat as_stored;  // has its own memory, so `image` does not change
  if (image.channels() == 3) {
    cv::cvtColor(image, as_stored, cv::COLOR_RGB2BGR);
  } else {
    as_stored = image;
  }
  std::vector<uint8_t> bytes;
  TORCH_CHECK_VALUE(cv::imencode(".png", as_stored, bytes), "encode_png: needs 1 or 3 channels");
  return bytes;
}

}  // namespace softmoe
