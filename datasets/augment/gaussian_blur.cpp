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

/// `image` filtered along its columns; the first and last row go on beyond the edges.
cv::Mat filter_columns(const BoxFilter& box, const cv::Mat& image) {
  const auto bytes = static_cast<size_t>(image.cols * image.channels());
  const auto row = [&image](int y) { return image.ptr(std::clamp(y, 0, image.rows - 1)); };
  std::vector<uint32_t> sums(bytes, 0);  // of the whole pixels of the box around the row before
  for (int y = -box.radius - 1; y < box.radius; ++y) {
    const uint8_t* from = row(y);
    for (size_t i = 0; i < bytes; ++i) {
      sums[i] += from[i];
    }
  }
  cv::Mat result(image.rows, image.cols, image.type());
  for (int y = 0; y < image.rows; ++y) {
    const uint8_t* before = row(y - box.radius - 1);
    const uint8_t* last = row(y + box.radius);
    const uint8_t* after = row(y + box.radius + 1);
    uint8_t* to = result.ptr(y);
    for (size_t i = 0; i < bytes; ++i) {
      sums[i] += static_cast<uint32_t>(last[i] - before[i]);
      const uint32_t ends = static_cast<uint32_t>(before[i] + after[i]);
      to[i] = static_cast<uint8_t>((sums[i] * box.inner + ends * box.outer + (1U << 23)) >> 24);
    }
  }
  return result;
}

}  // namespace

cv::Mat pillow_gaussian_blur(const cv::Mat& image, double radius) {
  const auto box = box_filter(box_radius(static_cast<float>(radius)));
  cv::Mat result = image.t();
  for (int pass = 0; pass < kBoxPasses; ++pass) {
    result = filter_columns(box, result);
  }
  result = result.t();
  for (int pass = 0; pass < kBoxPasses; ++pass) {
    result = filter_columns(box, result);
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
