#include "datasets/augment/gaussian_blur.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>
#include <vector>

namespace softmoe {
namespace {

constexpr int kBoxPasses = 3;
constexpr int kSampledTaps = 23;

/// The radius, with a fraction, of boxes that have together the variance of a Gaussian; in single
/// precision, as Pillow computes it.
float box_radius(float radius) {
  const float variance = radius * radius / kBoxPasses;
  const auto length = static_cast<float>(std::sqrt(12.0 * variance + 1.0));
  const auto whole = static_cast<float>(std::floor((length - 1.0) / 2.0));
  float fraction = (2 * whole + 1) * (whole * (whole + 1) - 3 * variance);
  fraction /= 6 * (variance - (whole + 1) * (whole + 1));
  return whole + fraction;
}

/// A box filter of whole pixels with weight `inner` and one more at each end with weight `outer`,
/// both of 2^24.
struct BoxFilter {
  int radius;
  uint32_t inner;
  uint32_t outer;
};

BoxFilter box_filter(float radius) {
  const auto whole = static_cast<int>(radius);
  const auto inner = static_cast<uint32_t>(static_cast<float>(1U << 24) / (radius * 2 + 1));
  return {whole, inner, ((1U << 24) - static_cast<uint32_t>(whole * 2 + 1) * inner) / 2};
}

/// Filters the `count` values from `values` on, `step` bytes apart, in place; `line` is scratch.
void filter_line(const BoxFilter& box, uint8_t* values, int count, size_t step,
                 std::vector<uint8_t>& line) {
  const int border = box.radius + 1;
  line.resize(static_cast<size_t>(count + 2 * border));
  for (int i = 0; i < count + 2 * border; ++i) {
    line[static_cast<size_t>(i)] =
        values[static_cast<size_t>(std::clamp(i - border, 0, count - 1)) * step];
  }
  uint32_t sum = 0;  // of the whole pixels of the box
  for (int i = 0; i < 2 * box.radius + 1; ++i) {
    sum += line[static_cast<size_t>(i)];
  }
  for (int i = 0; i < count; ++i) {
    const uint8_t before = line[static_cast<size_t>(i)];
    const uint8_t after = line[static_cast<size_t>(i + 2 * border)];
    sum += line[static_cast<size_t>(i + 2 * border - 1)];
    sum -= before;
    const uint32_t weighted = sum * box.inner + (before + after) * box.outer;
    values[static_cast<size_t>(i) * step] = static_cast<uint8_t>((weighted + (1U << 23)) >> 24);
  }
}

}  // namespace

cv::Mat pillow_gaussian_blur(const cv::Mat& image, double radius) {
  cv::Mat result = image.clone();
  const auto box = box_filter(box_radius(static_cast<float>(radius)));
  const auto channels = static_cast<size_t>(image.channels());
  std::vector<uint8_t> line;
  for (int pass = 0; pass < kBoxPasses; ++pass) {
    for (int y = 0; y < result.rows; ++y) {
      for (size_t channel = 0; channel < channels; ++channel) {
        filter_line(box, result.ptr(y) + channel, result.cols, channels, line);
      }
    }
  }
  for (int pass = 0; pass < kBoxPasses; ++pass) {
    for (size_t i = 0; i < static_cast<size_t>(result.cols) * channels; ++i) {
      filter_line(box, result.data + i, result.rows, result.step, line);
    }
  }
  return result;
}

cv::Mat sampled_gaussian_blur(const cv::Mat& image, double sigma) {
  cv::Mat floats;
  image.convertTo(floats, CV_32F);
  const cv::Mat taps = cv::getGaussianKernel(kSampledTaps, sigma, CV_32F);
  cv::Mat blurred;
  cv::sepFilter2D(floats, blurred, CV_32F, taps, taps, cv::Point(-1, -1), 0.0,
                  cv::BORDER_REFLECT_101);
  cv::Mat result;
  blurred.convertTo(result, CV_8U);  // rounds to the nearest
  return result;
}

}  // namespace softmoe
