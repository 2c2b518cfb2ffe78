#include "datasets/formats/orientation.h"

#include <gtest/gtest.h>

#include <functional>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "datasets/formats/image_bytes.h"
#include "datasets/image_file.h"
#include "datasets/small_sets.h"

namespace softmoe::test {
namespace {

/// What each orientation asks for.
cv::Mat turned(const cv::Mat& stored, int orientation) {
  cv::Mat image;
  switch (orientation) {
    case 2:
      cv::flip(stored, image, 1);
      break;
    case 3:
      cv::rotate(stored, image, cv::ROTATE_180);
      break;
    case 4:
      cv::flip(stored, image, 0);
      break;
    case 5:
      cv::transpose(stored, image);
      break;
    case 6:
      cv::rotate(stored, image, cv::ROTATE_90_CLOCKWISE);
      break;
    case 7:
      cv::rotate(stored.t(), image, cv::ROTATE_180);
      break;
    case 8:
      cv::rotate(stored, image, cv::ROTATE_90_COUNTERCLOCKWISE);
      break;
    default:
      image = stored;
  }
  return image;
}

FileBytes with_prefix(const FileBytes& exif) { return joined({"Exif\0\0", 6}, exif); }

/// The bytes as ImageMagick writes them into a text of a PNG file.
FileBytes raw_profile(const FileBytes& exif) {
  auto text = joined({"Raw profile type exif\0", 22}, joined("\nexif\n      70\n"));
  for (size_t i = 0; i < exif.size(); ++i) {
    const char* digits = "0123456789abcdef";
    append(text, {static_cast<uint8_t>(digits[exif[i] / 16]),
                  static_cast<uint8_t>(digits[exif[i] % 16])});
    if (i % 36 == 35) {
      text.push_back('\n');
    }
  }
  return text;
}

FileBytes webp_with(const cv::Mat& image, int quality, std::string_view name,
                    const FileBytes& data) {
  auto chunks = webp_picture(encoded(".webp", image, {cv::IMWRITE_WEBP_QUALITY, quality}));
  append(chunks, webp_chunk(name, data));
  return extended_webp(image.cols, image.rows, 0x08, chunks);
}

cv::Mat sixteen_bits(const cv::Mat& image) {
  cv::Mat wide;
  image.convertTo(wide, CV_16U, 257.0);
  return wide;
}

/// A place in a format where an orientation can stand.
struct Place {
  const char* name;
  std::function<FileBytes(const cv::Mat& image, int orientation)> write;
};

void PrintTo(const Place& place, std::ostream* out) { *out << place.name; }

constexpr auto kBig = ByteOrder::kBig;
constexpr auto kLittle = ByteOrder::kLittle;
constexpr int kLossless = 101;

class OrientationIn : public testing::TestWithParam<Place> {};

TEST_P(OrientationIn, TurnsThePictureOnce) {
  const auto image = picture(34, 50, 6);
  const auto stored = decode_image(GetParam().write(image, 1), "image");
  ASSERT_EQ(stored.size(), image.size());
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const auto decoded = decode_image(GetParam().write(image, orientation), "image");
    EXPECT_TRUE(same_pixels(decoded, turned(stored, orientation))) << orientation;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Formats, OrientationIn,
    testing::Values(
        Place{"JpegExif",
              [](const cv::Mat& image, int o) {
                return jpeg_with(jpeg_bytes(image), with_prefix(exif_data(o, kLittle)));
              }},
        Place{"JpegExifLongBigEndianAtOddPlace",
              [](const cv::Mat& image, int o) {
                return jpeg_with(jpeg_bytes(image),
                                 with_prefix(exif_data(o, kBig, TiffKind::kLong, 5)));
              }},
        Place{"JpegExifByte",
              [](const cv::Mat& image, int o) {
                return jpeg_with(jpeg_bytes(image),
                                 with_prefix(exif_data(o, kBig, TiffKind::kByte)));
              }},
        Place{"JpegXmp",
              [](const cv::Mat& image, int o) {
                return jpeg_with(jpeg_bytes(image),
                                 joined({"http://ns.adobe.com/xap/1.0/\0", 29}, xmp_data(o)));
              }},
        Place{"PngExif",
              [](const cv::Mat& image, int o) {
                return png_with(encode_png(image), "eXIf", exif_data(o, kBig));
              }},
        Place{"PngRawProfile",
              [](const cv::Mat& image, int o) {
                return png_with(encode_png(image), "tEXt",
                                raw_profile(with_prefix(exif_data(o, kLittle))));
              }},
        Place{"PngXmp",
              [](const cv::Mat& image, int o) {
                return png_with(encode_png(image), "iTXt",
                                joined({"XML:com.adobe.xmp\0\0\0\0\0", 22}, xmp_data(o)));
              }},
        Place{"LosslessWebpExif",
              [](const cv::Mat& image, int o) {
                return webp_with(image, kLossless, "EXIF", exif_data(o, kLittle));
              }},
        Place{"LossyWebpExifWithPrefix",
              [](const cv::Mat& image, int o) {
                return webp_with(image, 90, "EXIF", with_prefix(exif_data(o, kBig)));
              }},
        Place{"WebpXmp", [](const cv::Mat& image,
                            int o) { return webp_with(image, kLossless, "XMP ", xmp_data(o)); }},
        Place{"Tiff8", [](const cv::Mat& image, int o) { return tiff_file(image, o, kLittle); }},
        Place{"Tiff16",
              [](const cv::Mat& image, int o) { return tiff_file(sixteen_bits(image), o, kBig); }},
        Place{"TiffGray",
              [](const cv::Mat& image, int o) {
                cv::Mat gray;
                cv::cvtColor(image, gray, cv::COLOR_RGB2GRAY);
                return tiff_file(gray, o, kBig);
              }},
        Place{"Jpeg2000Exif",
              [](const cv::Mat& image, int o) {
                return jp2_with_exif(encoded(".jp2", image), exif_data(o, kBig));
              }}),
    [](const auto& test) { return test.param.name; });

TEST(Orientation, IsReadFromWhatIsThere) {
  const auto exif = with_prefix(exif_data(6, kLittle, TiffKind::kShort, 1));
  EXPECT_EQ(exif_orientation(exif), 6);
  constexpr size_t kEnd = 2 + 12 + 4;  // behind the value: its padding and the next directory
  for (size_t size = 0; size < exif.size(); ++size) {
    const auto found = exif_orientation(Bytes(exif).first(size));
    EXPECT_TRUE(!found || (*found == 6 && size + kEnd > exif.size())) << size;
  }
  EXPECT_EQ(exif_orientation(exif_data(0, kLittle)), 1);
  EXPECT_EQ(exif_orientation(exif_data(9, kBig)), 1);
  EXPECT_EQ(exif_orientation(exif_data(256 + 6, kBig, TiffKind::kLong)), 1);
  EXPECT_EQ(exif_orientation(joined("not EXIF data")), std::nullopt);
}

TEST(Orientation, OfDirectoriesThatLieIsNone) {
  auto behind_the_end = exif_data(6, kBig);
  behind_the_end[4] = 0x7F;
  EXPECT_EQ(exif_orientation(behind_the_end), std::nullopt);
  auto of_text = exif_data(6, kBig);
  of_text[8 + 2 + 12 + 3] = 2;  // the kind of the second entry
  EXPECT_EQ(exif_orientation(of_text), std::nullopt);
  auto many_values = exif_data(6, kBig);
  many_values[8 + 2 + 12 + 4] = 0x7F;  // their number
  EXPECT_EQ(exif_orientation(many_values), std::nullopt);
}

TEST(Orientation, OfXmpIsAnAttributeOrAnElement) {
  EXPECT_EQ(xmp_orientation(joined("<tiff:Orientation>8</tiff:Orientation>")), 8);
  EXPECT_EQ(xmp_orientation(joined("tiff:Orientation tiff:Orientation='3'")), 3);
  EXPECT_EQ(xmp_orientation(joined("tiff:Orientation=\"")), std::nullopt);
  EXPECT_EQ(xmp_orientation({}), std::nullopt);
}

TEST(Orientation, OfExifCountsBeforeThatOfXmp) {
  const auto image = picture(6, 9, 2);
  auto bytes = jpeg_with(jpeg_bytes(image), with_prefix(exif_data(1, kBig)));
  bytes = jpeg_with(bytes, joined({"http://ns.adobe.com/xap/1.0/\0", 29}, xmp_data(6)));
  EXPECT_EQ(decode_image(bytes, "image").size(), image.size());
}

}  // namespace
}  // namespace softmoe::test
