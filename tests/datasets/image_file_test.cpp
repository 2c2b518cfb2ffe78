#include "datasets/image_file.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <opencv2/core.hpp>
#include <thread>

#include "datasets/small_sets.h"
#include "support/temporary_folder.h"

namespace softmoe {
namespace {

using test::input_error;
using test::jpeg_bytes;
using test::picture;
using test::same_pixels;
using test::TemporaryFolder;
using test::write_file;
using testing::HasSubstr;

struct BadFile {
  const char* name;
  std::vector<uint8_t> bytes;
};

void PrintTo(const BadFile& image, std::ostream* out) { *out << image.name; }

class BadImageFile : public testing::TestWithParam<BadFile> {};

TEST_P(BadImageFile, IsNamed) {
  const TemporaryFolder folder;
  const auto file = folder / "bad.img.jpg";
  write_file(file, GetParam().bytes);
  const auto message = input_error([&] { load_image(file); });
  EXPECT_THAT(message, HasSubstr(file.string()));
  EXPECT_EQ(message.find('\n'), std::string::npos);
}

std::vector<uint8_t> first_part(std::vector<uint8_t> bytes, double share) {
  bytes.resize(static_cast<size_t>(share * static_cast<double>(bytes.size())));
  return bytes;
}

std::vector<uint8_t> end_marker_inside(std::vector<uint8_t> bytes) {
  bytes[bytes.size() * 2 / 3] = 0xFF;
  bytes[bytes.size() * 2 / 3 + 1] = 0xD9;
  return bytes;
}

std::vector<uint8_t> png_with_flipped_bit(std::vector<uint8_t> bytes) {
  bytes[bytes.size() / 2] ^= 0x10;
  return bytes;
}

INSTANTIATE_TEST_SUITE_P(
    Files, BadImageFile,
    testing::Values(
        BadFile{"Empty", {}}, BadFile{"Text", {'n', 'o', ' ', 'i', 'm', 'a', 'g', 'e', '\n'}},
        BadFile{"JpegHeaderAlone", {0xFF, 0xD8, 0xFF, 0xE0}},
        BadFile{"JpegWithoutItsEnd", first_part(jpeg_bytes(picture(48, 64, 1)), 0.97)},
        BadFile{"HalfAJpeg", first_part(jpeg_bytes(picture(48, 64, 1)), 0.5)},
        BadFile{"JpegThatEndsInside", end_marker_inside(jpeg_bytes(picture(48, 64, 1)))},
        BadFile{"PngWithoutItsEnd", first_part(encode_png(picture(48, 64, 1)), 0.999)},
        BadFile{"PngSignatureAlone", first_part(encode_png(picture(48, 64, 1)), 0.0015)},
        BadFile{"HalfAPng", first_part(encode_png(picture(48, 64, 1)), 0.5)},
        BadFile{"DamagedPng", png_with_flipped_bit(encode_png(picture(48, 64, 1)))}),
    [](const auto& test) { return test.param.name; });

TEST(Jpeg, IsDecodedAsRgb) {
  cv::Mat image(16, 24, CV_8UC3, cv::Scalar(250, 60, 10));
  const auto decoded = decode_image(jpeg_bytes(image), "image");
  EXPECT_LE(cv::norm(decoded, image, cv::NORM_INF), 4.0);
}

TEST(Jpeg, GrayFilesGetThreeChannels) {
  const cv::Mat gray(8, 8, CV_8UC1, cv::Scalar(90));
  const auto decoded = decode_image(encode_png(gray), "image");
  EXPECT_EQ(decoded.at<cv::Vec3b>(3, 3), cv::Vec3b(90, 90, 90));
}

TEST(ImageBytes, AreReadToTheirEndFromAPipe) {
  const TemporaryFolder folder;
  const auto bytes = encode_png(picture(90, 120, 4));  // more than one block of a pipe
  const auto pipe = folder / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  std::thread writer([&] { write_file(pipe, bytes); });
  EXPECT_EQ(read_bytes(pipe), bytes);
  writer.join();
}

TEST(ImageBytes, AreLimited) {
  const TemporaryFolder folder;
  write_file(folder / "large.png", {});
  std::filesystem::resize_file(folder / "large.png", kMaxImageFileBytes + 1);
  EXPECT_THAT(input_error([&] { read_bytes(folder / "large.png"); }),
              AllOf(HasSubstr("large.png"), HasSubstr("more than 1024 MiB")));
}

TEST(ImageBytes, OfAFolderAreNone) {
  const TemporaryFolder folder;
  EXPECT_THAT(input_error([&] { read_bytes(folder.path()); }), HasSubstr(folder.path().string()));
}

}  // namespace
}  // namespace softmoe
