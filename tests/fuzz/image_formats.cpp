#include <zlib.h>

#include <opencv2/imgcodecs.hpp>
#include <stdexcept>

#include "datasets/formats/image_bytes.h"
#include "datasets/formats/picture_size.h"
#include "datasets/image_file.h"
#include "datasets/small_sets.h"
#include "fuzz/format_lists.h"

namespace softmoe::fuzz {
namespace {

namespace fs = std::filesystem;

using test::encoded;
using test::FileBytes;
using test::joined;
using test::picture;

std::string text_of_file(const FileBytes& file) { return {file.begin(), file.end()}; }

std::vector<std::string> texts_of_files(const std::vector<FileBytes>& files) {
  std::vector<std::string> texts;
  for (const auto& file : files) {
    texts.push_back(text_of_file(file));
  }
  return texts;
}

/// Decodes, and touches every pixel, as a user of the image would. Small images are decoded twice:
/// memory that is not filled would differ.
void read_image(const fs::path& path) {
  constexpr size_t kDecodedTwice = 1 << 18;
  const cv::Mat image = load_image(path);
  if (image.empty() || image.type() != CV_8UC3 || image.total() > kMaxPicturePixels) {
    throw std::runtime_error("an image of a wrong type or size");
  }
  if (image.total() <= kDecodedTwice && !test::same_pixels(image, load_image(path))) {
    throw std::runtime_error("two images of one file");
  }
  static_cast<void>(image.clone());
}

/// Decodes a part of a picture, at its own size and smaller, and then the whole.
void read_jpeg(const fs::path& path) {
  const auto bytes = read_bytes(path);
  PartRequest request;
  request.choose_box = [](int height, int width) {
    return Box{width / 3.0, height / 3.0, width / 1.5, height / 1.5};
  };
  request.height = request.width = 1;
  for (const bool is_scalable : {false, true}) {
    request.is_scalable = is_scalable;
    const auto part = decode_image_part(bytes, path.string(), request);
    const auto again = decode_image_part(bytes, path.string(), request);
    if (part.image.type() != CV_8UC3 || !test::same_pixels(part.image, again.image)) {
      throw std::runtime_error("two parts of one file");
    }
  }
  read_image(path);
}

std::vector<FileBytes> exif_blocks() {
  return {test::exif_data(6, ByteOrder::kBig), test::exif_data(8, ByteOrder::kLittle),
          test::exif_data(3, ByteOrder::kBig, test::TiffKind::kLong, /*gap=*/5)};
}

FileBytes with_prefix(const char* prefix, const FileBytes& data) {
  return joined(std::string(prefix) + '\0', data);
}

FileBytes exif_segment(const FileBytes& exif) { return with_prefix("Exif", with_prefix("", exif)); }

FileBytes xmp_segment() { return with_prefix("http://ns.adobe.com/xap/1.0/", test::xmp_data(5)); }

// --- JPEG ---

std::vector<std::string> jpeg_seeds() {
  const auto image = picture(17, 26, 1);
  const std::array<uint8_t, 4> colour{200, 100, 50, 220};
  FileBytes gray;
  cv::imencode(".jpg", cv::Mat(9, 11, CV_8UC1, cv::Scalar(90)), gray);
  return texts_of_files(
      {encoded(".jpg", image), gray, encoded(".jpg", image, {cv::IMWRITE_JPEG_PROGRESSIVE, 1}),
       encoded(".jpg", image, {cv::IMWRITE_JPEG_RST_INTERVAL, 1, cv::IMWRITE_JPEG_QUALITY, 30}),
       four_colour_jpeg(colour, test::FourColours::kCmyk, true),
       four_colour_jpeg(colour, test::FourColours::kYcck, true),
       test::jpeg_with(encoded(".jpg", image), exif_segment(exif_blocks()[0])),
       test::jpeg_with(encoded(".jpg", image), xmp_segment())});
}

std::vector<std::string> jpeg_segments() {
  std::vector<FileBytes> segments = {xmp_segment()};
  for (const auto& exif : exif_blocks()) {
    segments.push_back(exif_segment(exif));
  }
  return texts_of_files(segments);
}

/// A picture with a segment of kind APP1, which EXIF and XMP data have.
void write_jpeg_segment(const std::string& segment, const fs::path& path) {
  constexpr size_t kMaxSegment = 0xFFFF - 2;
  static const FileBytes jpeg = encoded(".jpg", picture(3, 5, 2));
  write_bytes(text_of_file(test::jpeg_with(jpeg, joined(segment.substr(0, kMaxSegment)))), path);
}

// --- PNG ---

/// A picture of 5 x 3 pixels, whose kind of pixels, bits and order of rows are given.
FileBytes raw_png(uint8_t kind, uint8_t bits, bool interlaced, const FileBytes& chunks) {
  FileBytes header = {
      0, 0, 0, 5, 0, 0, 0, 3, bits, kind, 0, 0, interlaced ? uint8_t{1} : uint8_t{0}};
  // Filter bytes and pixels of 0: the fewest that any of these kinds need and more, which libpng
  // does not mind.
  const FileBytes rows(256, 0);
  FileBytes packed(compressBound(rows.size()));
  uLongf size = packed.size();
  compress(packed.data(), &size, rows.data(), rows.size());
  packed.resize(size);
  const auto chunk = [](std::string_view name, const FileBytes& data) {
    const auto checked = joined(name, data);
    auto bytes = test::number_bytes(data.size(), 4);
    test::append(bytes, checked);
    test::append(bytes, test::number_bytes(crc32_z(0, checked.data(), checked.size()), 4));
    return bytes;
  };
  auto bytes = joined("\x89PNG\r\n\x1a\n");
  test::append(bytes, chunk("IHDR", header));
  if (kind == 3) {
    test::append(bytes, chunk("PLTE", {1, 2, 3, 4, 5, 6}));
  }
  test::append(bytes, chunks);
  test::append(bytes, chunk("IDAT", packed));
  test::append(bytes, chunk("IEND", {}));
  return bytes;
}

std::vector<std::string> png_seeds() {
  const auto image = picture(6, 7, 3);
  const auto png = encoded(".png", image);
  const auto exif = exif_blocks();
  const auto profile =
      with_prefix("Raw profile type exif", joined("\nexif\n      8\n4d4d002a00000008000101120003"
                                                  "00000001000600000000\n"));
  FileBytes deep;
  cv::imencode(".png", cv::Mat(4, 5, CV_16UC4, cv::Scalar(1, 700, 40000, 9)), deep);
  return texts_of_files(
      {png, deep, raw_png(3, 2, false, {}), raw_png(0, 1, true, {}), raw_png(4, 8, true, {}),
       raw_png(2, 16, true, {}), test::png_with(png, "eXIf", exif[1]),
       test::png_with(png, "tEXt", profile),
       test::png_with(
           png, "iTXt",
           with_prefix("XML:com.adobe.xmp", joined(std::string(4, '\0'), test::xmp_data(7))))});
}

/// Every chunk gets the checksum of what it holds.
void write_png_chunks(const std::string& text, const fs::path& path) {
  constexpr size_t kSignature = 8;
  constexpr size_t kAround = 12;  // the length, the name and the checksum
  std::string png = text;
  for (size_t at = kSignature; at + kAround <= png.size();) {
    const Bytes bytes(reinterpret_cast<const uint8_t*>(png.data()), png.size());
    const auto length = *number_at(bytes, at, 4, ByteOrder::kBig);
    if (length > png.size() - at - kAround) {
      break;
    }
    const auto sum = test::number_bytes(crc32_z(0, bytes.data() + at + 4, length + 4), 4);
    std::copy(sum.begin(), sum.end(), png.begin() + static_cast<std::ptrdiff_t>(at + length + 8));
    at += length + kAround;
  }
  write_bytes(png, path);
}

// --- WebP ---

std::vector<std::string> webp_seeds() {
  constexpr uint8_t kAnimation = 2;
  const auto image = picture(10, 14, 4);
  const auto lossless = encoded(".webp", image, {cv::IMWRITE_WEBP_QUALITY, 101});
  auto chunks = test::webp_picture(lossless);
  test::append(chunks, test::webp_chunk("EXIF", exif_blocks()[0]));
  test::append(chunks, test::webp_chunk("XMP ", test::xmp_data(2)));
  auto frames = test::webp_chunk("ANIM", FileBytes(6, 0));
  test::append(frames, test::webp_frame(image, 4, 2));
  test::append(frames, test::webp_frame(picture(20, 24, 5), 0, 0));
  return texts_of_files({lossless, encoded(".webp", image, {cv::IMWRITE_WEBP_QUALITY, 50}),
                         test::extended_webp(14, 10, 12, chunks),
                         test::extended_webp(24, 20, kAnimation, frames)});
}

// --- TIFF ---

std::vector<std::string> tiff_seeds() {
  const auto image = picture(6, 9, 6);
  std::vector<FileBytes> files = {
      test::tiff_file(image, 6, ByteOrder::kLittle),
      test::tiff_file(cv::Mat(3, 4, CV_16UC1, cv::Scalar(300)), 3, ByteOrder::kBig)};
  for (const int compression : {1, 5, 7, 8, 32773}) {  // none, LZW, JPEG, Deflate, PackBits
    auto file = encoded(".tiff", image, {cv::IMWRITE_TIFF_COMPRESSION, compression});
    if (!file.empty()) {
      files.push_back(std::move(file));
    }
  }
  return texts_of_files(files);
}

// --- JPEG 2000 ---

std::vector<std::string> jpeg2000_seeds() {
  const auto file = encoded(".jp2", picture(64, 72, 7));
  const auto text = text_of_file(file);
  // A bare codestream begins with this marker.
  const auto codestream = text.substr(text.find("\xff\x4f\xff\x51"));
  return {text, codestream, text_of_file(test::jp2_with_exif(file, exif_blocks()[0]))};
}

// --- Formats without an orientation ---

std::vector<std::string> simple_seeds() {
  const auto image = picture(5, 7, 8);
  cv::Mat fractions;
  image.convertTo(fractions, CV_32F, 1.0 / 255);
  std::vector<FileBytes> files;
  for (const char* extension : {".bmp", ".ppm", ".pam", ".ras"}) {
    files.push_back(encoded(extension, image));
  }
  for (const char* extension : {".hdr", ".pfm"}) {
    cv::imencode(extension, fractions, files.emplace_back());
  }
  if (cv::haveImageWriter(".gif")) {
    files.push_back(encoded(".gif", image));
  }
  auto texts = texts_of_files(files);
  texts.insert(texts.end(), {"P1\n# a comment\n3 2\n1 0 1\n0 1 0\n", "P2\n2 2\n255\n0 9 30 255\n",
                             "P4\n9 2\nabcd", "P5\n2 3\n65535\nabcdefghijkl"});
  return texts;
}

}  // namespace

std::vector<Format> image_formats() {
  return {
      {"jpeg",
       "x.jpg",
       prepare_nothing,
       read_jpeg,
       {{jpeg_seeds, write_bytes}, {jpeg_segments, write_jpeg_segment}}},
      {"png",
       "x.png",
       prepare_nothing,
       read_image,
       {{png_seeds, write_bytes}, {png_seeds, write_png_chunks}}},
      {"webp", "x.webp", prepare_nothing, read_image, {{webp_seeds, write_bytes}}},
      {"tiff", "x.tiff", prepare_nothing, read_image, {{tiff_seeds, write_bytes}}},
      {"jpeg2000", "x.jp2", prepare_nothing, read_image, {{jpeg2000_seeds, write_bytes}}},
      {"simple_images", "x.bmp", prepare_nothing, read_image, {{simple_seeds, write_bytes}}},
  };
}

}  // namespace softmoe::fuzz
