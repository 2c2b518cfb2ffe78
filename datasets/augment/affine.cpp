#include "datasets/augment/affine.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <numbers>

namespace softmoe {
namespace {

/// Interpolation between `a` (`place` 0) and `b` (`place` 1).
double on_line(double a, double b, double place) { return a + (b - a) * place; }

/// The cubic through four neighbours (a = -1, as Pillow has it here); `place` 0 is at `b`.
template <typename Value>
double on_cubic(Value a, Value b, Value c, Value d, double place) {
  const Value linear = c - a;
  const Value square = 2 * (a - b) + c - d;
  const Value cubic = -a + b - c + d;
  return b + place * (linear + place * (square + place * cubic));
}

/// Writes one pixel of an affine image: the place (x, y) of `image`, which lies inside of it.
template <int channels>
class Sampler {
 public:
  explicit Sampler(const cv::Mat& image) : image_(image) {}

  void nearest(double x, double y, uint8_t* out) const {
    const uint8_t* from = row(static_cast<int>(y)) + column(static_cast<int>(x));
    std::copy(from, from + channels, out);
  }

  void bilinear(double x, double y, uint8_t* out) const {
    const double left = std::floor(x - 0.5);
    const double top = std::floor(y - 0.5);
    const double place_x = x - 0.5 - left;
    const double place_y = y - 0.5 - top;
    const auto first = static_cast<int>(left);
    const int x0 = column(first);
    const int x1 = column(first + 1);
    const uint8_t* above = row(static_cast<int>(top));
    const uint8_t* below = row(static_cast<int>(top) + 1);
    for (int channel = 0; channel < channels; ++channel) {
      out[channel] = static_cast<uint8_t>(
          on_line(on_line(above[x0 + channel], above[x1 + channel], place_x),
                  on_line(below[x0 + channel], below[x1 + channel], place_x), place_y));
    }
  }

  void bicubic(double x, double y, uint8_t* out) const {
    const double left = std::floor(x - 0.5);
    const double top = std::floor(y - 0.5);
    const double place_x = x - 0.5 - left;
    const double place_y = y - 0.5 - top;
    std::array<int, 4> columns{};
    std::array<const uint8_t*, 4> rows{};
    for (int i = 0; i < 4; ++i) {
      columns[static_cast<size_t>(i)] = column(static_cast<int>(left) - 1 + i);
      rows[static_cast<size_t>(i)] = row(static_cast<int>(top) - 1 + i);
    }
    for (int channel = 0; channel < channels; ++channel) {
      std::array<double, 4> values{};
      for (size_t i = 0; i < 4; ++i) {
        const uint8_t* from = rows[i] + channel;
        values[i] = on_cubic<int>(from[columns[0]], from[columns[1]], from[columns[2]],
                                  from[columns[3]], place_x);
      }
      out[channel] = static_cast<uint8_t>(
          std::clamp(on_cubic(values[0], values[1], values[2], values[3], place_y), 0.0, 255.0));
    }
  }

 private:
  const uint8_t* row(int y) const { return image_.ptr(std::clamp(y, 0, image_.rows - 1)); }
  int column(int x) const { return std::clamp(x, 0, image_.cols - 1) * channels; }

  const cv::Mat& image_;
};

template <int channels, typename Sample>
void write_affine(const cv::Mat& image, const AffineMap& map, const Sample& sample,
                  cv::Mat& result) {
  for (int row = 0; row < result.rows; ++row) {
    uint8_t* out = result.ptr(row);
    for (int column = 0; column < result.cols; ++column, out += channels) {
      const double middle_x = column + 0.5;
      const double middle_y = row + 0.5;
      const double x = map.a * middle_x + map.b * middle_y + map.c;
      const double y = map.d * middle_x + map.e * middle_y + map.f;
      if (x >= 0.0 && x < image.cols && y >= 0.0 && y < image.rows) {
        sample(x, y, out);
      }
    }
  }
}

template <int channels>
void write_affine(const cv::Mat& image, const AffineMap& map, Interpolation interpolation,
                  cv::Mat& result) {
  const Sampler<channels> sampler(image);
  const auto write = [&](const auto& sample) {
    write_affine<channels>(image, map, sample, result);
  };
  switch (interpolation) {
    case Interpolation::kNearest:
      return write([&](double x, double y, uint8_t* out) { sampler.nearest(x, y, out); });
    case Interpolation::kBicubic:
      return write([&](double x, double y, uint8_t* out) { sampler.bicubic(x, y, out); });
    case Interpolation::kBilinear:
    case Interpolation::kBox:
      return write([&](double x, double y, uint8_t* out) { sampler.bilinear(x, y, out); });
  }
}

/// `value` in [-1, 1] rounded to 15 digits behind the point, as Pillow rounds sines and cosines: by
/// its decimal digits, as Python does.
double rounded(double value) {
  std::array<char, 32> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value,
                                 std::chars_format::fixed, 15)
                       .ptr;
  double result = 0.0;
  std::from_chars(digits.data(), end, result);
  return result;
}

}  // namespace

cv::Mat affine(const cv::Mat& image, const AffineMap& map, const AffineStyle& style) {
  cv::Mat result(image.rows, image.cols, image.type(), style.fill);
  if (image.channels() == 3) {
    write_affine<3>(image, map, style.interpolation, result);
  } else {
    write_affine<1>(image, map, style.interpolation, result);
  }
  return result;
}

cv::Mat rotate(const cv::Mat& image, double degrees, const AffineStyle& style) {
  const double turn = std::fmod(std::fmod(degrees, 360.0) + 360.0, 360.0);
  const double angle = -(turn * (std::numbers::pi / 180.0));
  const double cosine = rounded(std::cos(angle));
  const double sine = rounded(std::sin(angle));
  const double middle_x = image.cols / 2.0;
  const double middle_y = image.rows / 2.0;
  return affine(image,
                {.a = cosine,
                 .b = sine,
                 .c = cosine * -middle_x + sine * -middle_y + middle_x,
                 .d = -sine,
                 .e = cosine,
                 .f = -sine * -middle_x + cosine * -middle_y + middle_y},
                style);
}

}  // namespace softmoe
