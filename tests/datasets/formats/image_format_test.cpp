#include "datasets/formats/image_format.h"

#include <gmock/gmock.h>

#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "core/rng.h"
#include "datasets/formats/image_bytes.h"
#include "datasets/formats/orientation.h"
#include "datasets/formats/picture_size.h"
#include "datasets/image_file.h"
#include "datasets/small_sets.h"

namespace softmoe::test {
namespace {

using testing::HasSubstr;

/// Bytes with a name for the test and a part of the message.
struct Content {
  const char* name;
  FileBytes bytes;
  const char* message;
};

void PrintTo(const Content& content, std::ostream* out) { *out << content.name; }

FileBytes text(std::string_view content) { return joined(content); }

class OtherContent : public testing::TestWithParam<Content> {};

TEST_P(OtherContent, IsNamed) {
  EXPECT_THAT(input_error([&] { decode_image(GetParam().bytes, "photo.jpg"); }),
              testing::StartsWith(std::string("photo.jpg: ") + GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Files, OtherContent,
    testing::Values(
        Content{"Empty", {}, "the file is empty"},
        Content{"Heic",
                text({"\0\0\0\x18"
                      "ftypheic\0\0\0\0mif1heic",
                      24}),
                "HEIC image, a format that is not read"},
        Content{"HeicOfMif1",
                text({"\0\0\0\x18"
                      "ftypmif1\0\0\0\0mif1heic",
                      24}),
                "HEIC image, a format that is not read"},
        Content{"AvifOfMif1",
                text({"\0\0\0\x18"
                      "ftypmif1\0\0\0\0mif1avif",
                      24}),
                "AVIF image, a format that is not read"},
        Content{"Video",
                text({"\0\0\0\x18"
                      "ftypisom\0\0\0\0mp42isom",
                      24}),
                "is no image but a video"},
        Content{"JpegXl", {0xFF, 0x0A, 0x12, 0x34}, "JPEG XL image, a format that is not read"},
        Content{"OpenExr",
                {0x76, 0x2F, 0x31, 0x01, 2, 0, 0, 0},
                "OpenEXR image, a format that is not read"},
        Content{"Photoshop", text("8BPS and more"), "Photoshop image, a format that is not read"},
        Content{"Pdf", text("%PDF-1.7\n"), "PDF document, a format that is not read"},
        Content{"Svg", text("<?xml version=\"1.0\"?>\n<!-- drawn -->\n<svg width=\"3\">"),
                "SVG image, a format that is not read"},
        Content{"Html", text("\n <!DOCTYPE HTML PUBLIC><html>"), "is no image but an HTML page"},
        Content{"HtmlWithASvg", text("<html><body><svg></svg>"), "is no image but an HTML page"},
        Content{"HtmlAfterAMark", text("\xEF\xBB\xBF<HTML>"), "is no image but an HTML page"},
        Content{"Xml", text("<?xml version=\"1.0\"?><Error/>"), "is no image but XML"},
        Content{"Json", text("{\"error\": 404}"), "is no image but JSON"},
        Content{"Text", text("Not Found\nmore"), "is no image but text that begins 'Not Found'"},
        Content{"TextLikeAFormat", text("BMW and P1 and so on, all of it text"),
                "is no image but text"},
        Content{"Gzip", gzipped({1, 2, 3}), "is no image but gzip data"},
        Content{"Zip", text("PK\3\4 and more"), "is no image but a zip archive"},
        Content{"GitLfs", text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
                "is no image but a Git LFS pointer"},
        Content{"AppleDouble", {0, 5, 0x16, 7, 0, 2, 0, 0}, "is no image but an AppleDouble file"},
        Content{"Zeros", FileBytes(64, 0), "is no image but zeros"},
        Content{"Unknown", {0x12, 0x01, 0x34, 0x02}, "is no image of a known format"}),
    [](const auto& test) { return test.param.name; });

TEST(ImageFormat, IsKnownByBytesWhateverTheNameSays) {
  const auto image = picture(5, 7, 1);
  EXPECT_EQ(find_image_format(encode_png(image))->name, "PNG image");
  EXPECT_EQ(find_image_format(jpeg_bytes(image))->name, "JPEG image");
  EXPECT_EQ(find_image_format(encoded(".webp", image))->name, "WebP image");
  EXPECT_EQ(find_image_format(encoded(".bmp", image))->name, "BMP image");
  EXPECT_EQ(find_image_format(encoded(".ppm", image))->name, "PNM image");
  EXPECT_EQ(find_image_format(text("GIF89a"))->name, "GIF image");
}

TEST(ImageFormat, OfNames) {
  for (const auto* name : {"a.jpg", "a.JFIF", "a.png", "a.WebP", "a.tif", "a.jp2", "a.ppm"}) {
    EXPECT_TRUE(is_image_name(name)) << name;
    EXPECT_FALSE(is_unread_image_name(name)) << name;
  }
  for (const auto* name : {"a.heic", "a.AVIF", "a.jxl", "a.exr", "a.svg"}) {
    EXPECT_FALSE(is_image_name(name)) << name;
    EXPECT_TRUE(is_unread_image_name(name)) << name;
  }
  EXPECT_NE(is_image_name("a.gif"), is_unread_image_name("a.gif"));
  EXPECT_FALSE(is_image_name("a.txt") || is_unread_image_name("a.txt") || is_image_name("jpg"));
}

/// A file without loss in each format that OpenCV writes, of its extension.
constexpr const char* kLosslessFormats[] = {".png", ".webp", ".bmp", ".tiff",
                                            ".jp2", ".ppm",  ".ras"};

std::vector<int> lossless(const std::string& extension) {
  return extension == ".webp"  ? std::vector<int>{cv::IMWRITE_WEBP_QUALITY, 101}
         : extension == ".jp2" ? std::vector<int>{cv::IMWRITE_JPEG2000_COMPRESSION_X1000, 1000}
                               : std::vector<int>{};
}

TEST(ImageFormat, WithoutLossGivesThePixels) {
  const auto image = picture(37, 43, 3);
  for (const auto* extension : kLosslessFormats) {
    const auto bytes = encoded(extension, image, lossless(extension));
    EXPECT_TRUE(same_pixels(decode_image(bytes, "image"), image)) << extension;
  }
}

TEST(Tiff, DropsTransparency) {
  const auto colours = picture(9, 11, 3);
  cv::Mat alpha(9, 11, CV_8UC1);
  cv::randu(alpha, 0, 256);
  cv::Mat image;
  cv::merge(std::vector<cv::Mat>{colours, alpha}, image);
  for (const int orientation : {0, 1, 6}) {
    for (const auto order : {ByteOrder::kLittle, ByteOrder::kBig}) {
      EXPECT_TRUE(same_pixels(decode_image(tiff_file(image, orientation, order), "image"),
                              upright(colours, std::max(orientation, 1))))
          << orientation;
    }
  }
}

TEST(ImageFormat, CutShortIsDamaged) {
  const auto image = picture(48, 64, 3);
  for (const std::string extension : {".png", ".webp", ".bmp", ".tiff", ".jp2", ".ppm", ".ras"}) {
    const auto bytes = encoded(extension, image, lossless(extension));
    for (const double share : {0.05, 0.5, 0.9}) {
      auto part = bytes;
      part.resize(static_cast<size_t>(share * static_cast<double>(bytes.size())));
      EXPECT_THROW(decode_image(part, "image"), InputError) << extension << " " << share;
    }
  }
}

TEST(ImageFormat, DamagedBytesEndInAnErrorAndSayNothingElse) {
  const auto image = picture(36, 44, 5);
  std::vector<FileBytes> files = {jpeg_bytes(image), tiff_file(image, 6, ByteOrder::kBig)};
  for (const auto* extension : {".png", ".webp", ".bmp", ".jp2", ".ppm", ".ras", ".hdr", ".pam"}) {
    files.push_back(encoded(extension, image));
  }
  Rng rng(7);
  testing::internal::CaptureStderr();
  for (const auto& file : files) {
    for (int round = 0; round < 60; ++round) {
      auto bytes = file;
      const auto reach = round % 2 == 0 ? std::min<size_t>(64, bytes.size()) : bytes.size();
      for (int change = 0; change < 3; ++change) {
        bytes[rng.below(static_cast<int64_t>(reach))] = static_cast<uint8_t>(rng.below(256));
      }
      try {
        decode_image(bytes, "image");
      } catch (const InputError&) {
      }
    }
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

/// `bytes` with `value` from `offset` on.
FileBytes patched(FileBytes bytes, size_t offset, const FileBytes& value) {
  std::copy(value.begin(), value.end(), bytes.begin() + static_cast<ptrdiff_t>(offset));
  return bytes;
}

FileBytes png_of_size(uint64_t width, uint64_t height) {
  auto header = number_bytes(width, 4);
  append(header, number_bytes(height, 4));
  append(header, {8, 2, 0, 0, 0});
  const auto chunk = png_with(encode_png(picture(4, 4, 1)), "IHDR", header);
  FileBytes bytes(chunk.begin(), chunk.begin() + 8);  // the new header in the place of the old one
  bytes.insert(bytes.end(), chunk.begin() + 33, chunk.end());
  return bytes;
}

FileBytes jpeg_of_size(uint64_t width, uint64_t height) {
  auto bytes = jpeg_bytes(picture(16, 16, 1));
  const FileBytes frame = {0xFF, 0xC0};
  const auto at = std::search(bytes.begin(), bytes.end(), frame.begin(), frame.end());
  auto sides = number_bytes(height, 2);
  append(sides, number_bytes(width, 2));
  return patched(bytes, static_cast<size_t>(at - bytes.begin()) + 5, sides);
}

FileBytes jpeg2000_of_size(uint64_t width, uint64_t height) {
  auto bytes = encoded(".jp2", picture(40, 48, 1));
  const FileBytes marker = {0xFF, 0x4F, 0xFF, 0x51};
  const auto at = std::search(bytes.begin(), bytes.end(), marker.begin(), marker.end());
  auto sides = number_bytes(width, 4);
  append(sides, number_bytes(height, 4));
  return patched(bytes, static_cast<size_t>(at - bytes.begin()) + 8, sides);
}

FileBytes sides(uint64_t width, uint64_t height, size_t count, ByteOrder order) {
  auto bytes = number_bytes(width, count, order);
  append(bytes, number_bytes(height, count, order));
  return bytes;
}

class TooLarge : public testing::TestWithParam<Content> {};

TEST_P(TooLarge, IsNamedBeforeMemoryIsTaken) {
  EXPECT_THAT(input_error([&] { decode_image(GetParam().bytes, "photo"); }),
              testing::StartsWith(std::string("photo: ") + GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Pictures, TooLarge,
    testing::Values(
        Content{"Jpeg", jpeg_of_size(65500, 65500), "JPEG image of 65500 x 65500 pixels"},
        Content{"Png", png_of_size(1, 1u << 21), "PNG image of 1 x 2097152 pixels"},
        Content{"Webp", extended_webp(1 << 24, 20, 0, {}), "WebP image of 16777216 x 20 pixels"},
        Content{"AnimatedWebp", extended_webp(1 << 15, 1 << 15, 2, {}),
                "WebP image of 32768 x 32768 pixels"},
        Content{"LosslessWebp",
                joined({"RIFF\x14\0\0\0WEBPVP8L\5\0\0\0\x2f", 21}, {0xFF, 0xFF, 0xFF, 0x0F, 0}),
                "WebP image of 16384 x 16384 pixels"},
        Content{"Bmp",
                patched(encoded(".bmp", picture(4, 4, 1)), 18,
                        sides(40000, uint64_t{0} - 40000, 4, ByteOrder::kLittle)),
                "BMP image of 40000 x 40000 pixels"},
        Content{"Tiff",
                patched(tiff_file(cv::Mat(8, 8, CV_8UC1, cv::Scalar(1)), 0, ByteOrder::kLittle),
                        8 + 64 + 2 + 2, {4, 0, 1, 0, 0, 0, 0xFF, 0xFF, 0xFF}),
                "TIFF image of 16777215 x 8 pixels"},
        Content{"Jpeg2000", jpeg2000_of_size(1u << 31, 1u << 31),
                "JPEG 2000 image of 2147483648 x 2147483648 pixels"},
        Content{"Pnm", text("P6\n# a comment 3 3\n50000\t50000 255\n"),
                "PNM image of 50000 x 50000 pixels"},
        Content{"Pfm", text("PF\n99999 99999\n-1.0\n"), "PNM image of 99999 x 99999 pixels"},
        Content{"Pam", text("P7\nWIDTH 20000\nHEIGHT 20000\nDEPTH 3\nMAXVAL 255\nENDHDR\n"),
                "PAM image of 20000 x 20000 pixels"},
        Content{
            "SunRaster",
            patched(encoded(".ras", picture(4, 4, 1)), 4, sides(70000, 70000, 4, ByteOrder::kBig)),
            "Sun raster image of 70000 x 70000 pixels"},
        Content{"Radiance", text("#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 30000 +X 20000\n"),
                "Radiance HDR image of 20000 x 30000 pixels"}),
    [](const auto& test) { return test.param.name; });

TEST(PictureSize, HasALimit) {
  EXPECT_NO_THROW(check_picture_size(1, 1));
  EXPECT_NO_THROW(check_picture_size(1 << 20, 170));
  EXPECT_THROW(check_picture_size(1 << 20, 171), UnreadPicture);
  EXPECT_THROW(check_picture_size(uint64_t{1} << 32, uint64_t{1} << 32), UnreadPicture);
  EXPECT_THROW(check_picture_size(0, 5), InputError);
}

}  // namespace
}  // namespace softmoe::test
