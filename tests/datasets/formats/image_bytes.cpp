#include "datasets/formats/image_bytes.h"

#include <zlib.h>

#include <cstdio>
#include <cstdlib>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "datasets/small_sets.h"

// Needs what stands above.
#include <jpeglib.h>

namespace softmoe::test {
namespace {

/// An entry of a TIFF directory whose value is one integer.
FileBytes tiff_entry(uint16_t tag, TiffKind kind, uint64_t value, ByteOrder order) {
  const size_t size = kind == TiffKind::kByte ? 1 : kind == TiffKind::kShort ? 2 : 4;
  auto bytes = number_bytes(tag, 2, order);
  append(bytes, number_bytes(static_cast<uint64_t>(kind), 2, order));
  append(bytes, number_bytes(1, 4, order));
  append(bytes, number_bytes(value, size, order));
  bytes.resize(12, 0);
  return bytes;
}

FileBytes tiff_header(uint64_t directory, ByteOrder order) {
  auto bytes = joined(order == ByteOrder::kBig ? "MM" : "II");
  append(bytes, number_bytes(42, 2, order));
  append(bytes, number_bytes(directory, 4, order));
  return bytes;
}

constexpr size_t kTiffHeader = 8;

}  // namespace

FileBytes joined(std::string_view text, const FileBytes& more) {
  FileBytes bytes(text.begin(), text.end());
  append(bytes, more);
  return bytes;
}

FileBytes number_bytes(uint64_t value, size_t count, ByteOrder order) {
  FileBytes bytes(count);
  for (size_t i = 0; i < count; ++i) {
    bytes[order == ByteOrder::kLittle ? i : count - 1 - i] = static_cast<uint8_t>(value >> (8 * i));
  }
  return bytes;
}

FileBytes exif_data(int orientation, ByteOrder order, TiffKind kind, int gap) {
  constexpr uint16_t kImageWidth = 256;
  auto bytes = tiff_header(kTiffHeader + static_cast<uint64_t>(gap), order);
  bytes.resize(bytes.size() + static_cast<size_t>(gap), 0xAB);
  append(bytes, number_bytes(2, 2, order));
  append(bytes, tiff_entry(kImageWidth, TiffKind::kShort, 3, order));
  append(bytes, tiff_entry(0x0112, kind, static_cast<uint64_t>(orientation), order));
  append(bytes, number_bytes(0, 4, order));
  return bytes;
}

FileBytes xmp_data(int orientation) {
  return joined("<x:xmpmeta><rdf:Description tiff:Orientation=\"" + std::to_string(orientation) +
                "\"/></x:xmpmeta>");
}

FileBytes jpeg_with(const FileBytes& jpeg, const FileBytes& segment) {
  FileBytes bytes = {0xFF, 0xD8, 0xFF, 0xE1};
  append(bytes, number_bytes(segment.size() + 2, 2));
  append(bytes, segment);
  bytes.insert(bytes.end(), jpeg.begin() + 2, jpeg.end());
  return bytes;
}

namespace {

/// A file of libjpeg in work.
class JpegWriter {
 public:
  JpegWriter(int height, int width, int channels, J_COLOR_SPACE colours) {
    info_.err = jpeg_std_error(&errors_);
    jpeg_create_compress(&info_);
    jpeg_mem_dest(&info_, &memory_, &size_);
    info_.image_width = static_cast<JDIMENSION>(width);
    info_.image_height = static_cast<JDIMENSION>(height);
    info_.input_components = channels;
    info_.in_color_space = colours;
    jpeg_set_defaults(&info_);
  }
  ~JpegWriter() {
    jpeg_destroy_compress(&info_);
    std::free(memory_);
  }
  JpegWriter(const JpegWriter&) = delete;
  JpegWriter& operator=(const JpegWriter&) = delete;

  jpeg_compress_struct& info() { return info_; }

  FileBytes write(const cv::Mat& pixels) {
    jpeg_start_compress(&info_, TRUE);
    for (int y = 0; y < pixels.rows; ++y) {
      auto* row = const_cast<uint8_t*>(pixels.ptr(y));
      jpeg_write_scanlines(&info_, &row, 1);
    }
    jpeg_finish_compress(&info_);
    return {memory_, memory_ + size_};
  }

 private:
  jpeg_compress_struct info_{};
  jpeg_error_mgr errors_{};
  unsigned char* memory_ = nullptr;
  unsigned long size_ = 0;
};

}  // namespace

FileBytes styled_jpeg(const cv::Mat& image, const JpegStyle& style) {
  JpegWriter writer(image.rows, image.cols, 3, JCS_RGB);
  auto& info = writer.info();
  jpeg_set_quality(&info, 90, TRUE);
  info.comp_info[0].h_samp_factor = style.across;
  info.comp_info[0].v_samp_factor = style.down;
  if (style.is_progressive) {
    jpeg_simple_progression(&info);
  }
  return writer.write(image);
}

FileBytes four_colour_jpeg(const std::array<uint8_t, 4>& colour, FourColours space, bool adobe) {
  JpegWriter writer(8, 16, 4, JCS_CMYK);
  auto& info = writer.info();
  jpeg_set_colorspace(&info, space == FourColours::kCmyk ? JCS_CMYK : JCS_YCCK);
  jpeg_set_quality(&info, 100, TRUE);
  info.write_Adobe_marker = adobe ? TRUE : FALSE;
  return writer.write(
      cv::Mat(8, 16, CV_8UC4, cv::Scalar(colour[0], colour[1], colour[2], colour[3])));
}

FileBytes encoded(const std::string& extension, const cv::Mat& image,
                  const std::vector<int>& parameters) {
  cv::Mat stored;
  cv::cvtColor(image, stored, cv::COLOR_RGB2BGR);
  FileBytes bytes;
  cv::imencode(extension, stored, bytes, parameters);
  return bytes;
}

FileBytes png_with(const FileBytes& png, std::string_view name, const FileBytes& data) {
  constexpr ptrdiff_t kHeaderEnd = 33;
  const auto checked = joined(name, data);
  FileBytes bytes(png.begin(), png.begin() + kHeaderEnd);
  append(bytes, number_bytes(data.size(), 4));
  append(bytes, checked);
  append(bytes, number_bytes(crc32_z(0, checked.data(), checked.size()), 4));
  bytes.insert(bytes.end(), png.begin() + kHeaderEnd, png.end());
  return bytes;
}

FileBytes webp_chunk(std::string_view name, const FileBytes& data) {
  auto bytes = joined(name, number_bytes(data.size(), 4, ByteOrder::kLittle));
  append(bytes, data);
  bytes.resize(bytes.size() + bytes.size() % 2, 0);
  return bytes;
}

FileBytes extended_webp(int width, int height, uint8_t flags, const FileBytes& chunks) {
  FileBytes header = {flags, 0, 0, 0};
  append(header, number_bytes(static_cast<uint64_t>(width) - 1, 3, ByteOrder::kLittle));
  append(header, number_bytes(static_cast<uint64_t>(height) - 1, 3, ByteOrder::kLittle));
  auto content = joined("WEBP", webp_chunk("VP8X", header));
  append(content, chunks);
  auto bytes = joined("RIFF", number_bytes(content.size(), 4, ByteOrder::kLittle));
  append(bytes, content);
  return bytes;
}

FileBytes webp_picture(const FileBytes& webp) { return {webp.begin() + 12, webp.end()}; }

FileBytes webp_frame(const cv::Mat& image, int left, int top) {
  FileBytes data;
  for (const int value : {left / 2, top / 2, image.cols - 1, image.rows - 1, /*ms=*/100}) {
    append(data, number_bytes(static_cast<uint64_t>(value), 3, ByteOrder::kLittle));
  }
  data.push_back(0);
  append(data, webp_picture(encoded(".webp", image, {cv::IMWRITE_WEBP_QUALITY, 101})));
  return webp_chunk("ANMF", data);
}

FileBytes jp2_with_exif(const FileBytes& jp2, const FileBytes& exif) {
  const auto content = joined("uuidJpgTiffExif->JP2", exif);
  auto bytes = jp2;
  append(bytes, number_bytes(content.size() + 4, 4));
  append(bytes, content);
  return bytes;
}

FileBytes tiff_file(const cv::Mat& image, int orientation, ByteOrder order) {
  const auto channels = static_cast<uint64_t>(image.channels());
  const uint64_t bits = image.depth() == CV_16U ? 16 : 8;
  const auto width = static_cast<uint64_t>(image.cols);
  const auto height = static_cast<uint64_t>(image.rows);
  FileBytes pixels;
  for (int y = 0; y < image.rows; ++y) {
    for (int i = 0; i < image.cols * image.channels(); ++i) {
      append(pixels, number_bytes(bits == 16 ? image.ptr<uint16_t>(y)[i] : image.ptr(y)[i],
                                  bits / 8, order));
    }
  }
  std::vector<std::pair<uint16_t, uint64_t>> entries = {{256, width},
                                                        {257, height},
                                                        {258, bits},
                                                        {259, 1},
                                                        {262, channels >= 3 ? 2 : 1},
                                                        {273, kTiffHeader},
                                                        {274, orientation},
                                                        {277, channels},
                                                        {278, height},
                                                        {279, pixels.size()},
                                                        {338, channels == 4 ? 2 : 0}};
  auto bytes = tiff_header(kTiffHeader + pixels.size(), order);
  append(bytes, pixels);
  std::erase_if(entries, [](const auto& entry) { return entry.second == 0; });
  append(bytes, number_bytes(entries.size(), 2, order));
  const auto bits_at = bytes.size() + 12 * entries.size() + 4;
  for (const auto& [tag, value] : entries) {
    if (tag == 258 && channels >= 3) {
      auto entry = tiff_entry(tag, TiffKind::kShort, 0, order);
      const auto count = number_bytes(channels, 4, order);
      const auto offset = number_bytes(bits_at, 4, order);
      std::copy(count.begin(), count.end(), entry.begin() + 4);
      std::copy(offset.begin(), offset.end(), entry.begin() + 8);
      append(bytes, entry);
    } else {
      append(bytes,
             tiff_entry(tag, value > 0xFFFF ? TiffKind::kLong : TiffKind::kShort, value, order));
    }
  }
  append(bytes, number_bytes(0, 4, order));
  for (int i = 0; i < 4; ++i) {
    append(bytes, number_bytes(bits, 2, order));
  }
  return bytes;
}

}  // namespace softmoe::test
