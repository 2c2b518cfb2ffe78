#include "datasets/formats/jpeg.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

// jpeglib.h needs what stands above.
#include <jpeglib.h>

#include "datasets/formats/image_bytes.h"

namespace softmoe::test {
namespace {

/// A JPEG file of one colour, whose four components are stored in `space` with these values.
FileBytes four_colour_jpeg(const std::array<uint8_t, 4>& colour, J_COLOR_SPACE space, bool adobe) {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* memory = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &memory, &size);
  info.image_width = 16;
  info.image_height = 8;
  info.input_components = 4;
  info.in_color_space = JCS_CMYK;
  jpeg_set_defaults(&info);
  jpeg_set_colorspace(&info, space);
  jpeg_set_quality(&info, 100, TRUE);
  info.write_Adobe_marker = adobe ? TRUE : FALSE;
  jpeg_start_compress(&info, TRUE);
  FileBytes row;
  for (unsigned x = 0; x < info.image_width; ++x) {
    row.insert(row.end(), colour.begin(), colour.end());
  }
  uint8_t* pointer = row.data();
  while (info.next_scanline < info.image_height) {
    jpeg_write_scanlines(&info, &pointer, 1);
  }
  jpeg_finish_compress(&info);
  FileBytes bytes(memory, memory + size);
  jpeg_destroy_compress(&info);
  std::free(memory);
  return bytes;
}

// The RGB values are those of Pillow's convert("RGB").
TEST(Jpeg, OfFourColoursIsInvertedWithAndWithoutAdobesMarker) {
  const std::array<uint8_t, 4> colour{200, 100, 50, 220};
  const cv::Mat expected(8, 16, CV_8UC3, cv::Scalar(173, 86, 43));
  for (const auto& bytes :
       {four_colour_jpeg(colour, JCS_CMYK, true), four_colour_jpeg(colour, JCS_CMYK, false),
        four_colour_jpeg(colour, JCS_YCCK, true)}) {
    const auto decoded = decode_jpeg(bytes);
    ASSERT_EQ(decoded.size(), expected.size());
    EXPECT_LE(cv::norm(decoded, expected, cv::NORM_INF), 2.0);
  }
}

}  // namespace
}  // namespace softmoe::test
