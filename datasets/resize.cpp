#include "datasets/resize.h"

#include <cstring>
#include <opencv2/core.hpp>

namespace softmoe {
namespace {

// Weights are integers of this many fractional bits: sums of 8-bit pixels stay within 32 bits.
constexpr int kWeightBits = 22;
constexpr int kHalf = 1 << (kWeightBits - 1);

double kernel_support(Interpolation interpolation) {
  switch (interpolation) {
    case Interpolation::kBicubic:
      return 2.0;
    case Interpolation::kBox:
      return 0.5;
    default:
      return 1.0;
  }
}

double kernel(Interpolation interpolation, double distance) {
  const double x = std::abs(distance);
  switch (interpolation) {
    case Interpolation::kBicubic: {
      constexpr double kA = -0.5;
      if (x < 1.0) {
        return ((kA + 2.0) * x - (kA + 3.0)) * x * x + 1.0;
      }
      return x < 2.0 ? kA * (((x - 5.0) * x + 8.0) * x - 4.0) : 0.0;
    }
    case Interpolation::kBox:
      return distance > -0.5 && distance <= 0.5 ? 1.0 : 0.0;
    default:
      return std::max(0.0, 1.0 - x);
  }
}

/// The pixels, with their weights, that each pixel of a resized line is a sum of.
struct Taps {
  std::vector<int> first;
  std::vector<int> count;
  std::vector<int32_t> weights;  // [pixels, stride]
  int stride = 0;

  const int32_t* of(int pixel) const {
    return weights.data() + static_cast<ptrdiff_t>(pixel) * stride;
  }
};

/// Taps for the part [low, high) of a line, resized to `size` pixels, from pixels [begin, end).
Taps make_taps(double low, double high, int begin, int end, int size, Interpolation interpolation) {
  const double scale = (high - low) / size;
  const double widen = std::max(scale, 1.0);
  const double support = kernel_support(interpolation) * widen;
  Taps taps;
  taps.stride = 2 * static_cast<int>(std::ceil(support)) + 1;
  taps.weights.resize(static_cast<size_t>(taps.stride) * static_cast<size_t>(size), 0);
  std::vector<double> exact;
  for (int pixel = 0; pixel < size; ++pixel) {
    const double centre = low + (pixel + 0.5) * scale;
    const int first = std::clamp(static_cast<int>(centre - support + 0.5), begin, end - 1);
    const int last = std::clamp(static_cast<int>(centre + support + 0.5), first + 1, end);
    exact.clear();
    double sum = 0.0;
    for (int from = first; from < last; ++from) {
      exact.push_back(kernel(interpolation, (from - centre + 0.5) / widen));
      sum += exact.back();
    }
    if (sum == 0.0) {
      exact.assign(exact.size(), 1.0);
      sum = static_cast<double>(exact.size());
    }
    int32_t* weights = taps.weights.data() + static_cast<ptrdiff_t>(pixel) * taps.stride;
    for (size_t i = 0; i < exact.size(); ++i) {
      weights[i] = static_cast<int32_t>(std::lround(exact[i] / sum * (1 << kWeightBits)));
    }
    taps.first.push_back(first);
    taps.count.push_back(last - first);
  }
  return taps;
}

uint8_t to_pixel(int32_t sum) {
  return static_cast<uint8_t>(std::clamp(sum >> kWeightBits, 0, 255));
}

/// Rows of `image` between columns [left, right), resized to the rows of `taps`.
cv::Mat resize_down(const cv::Mat& image, const Taps& taps, int left, int right) {
  const int channels = image.channels();
  const int bytes = (right - left) * channels;
  const int height = static_cast<int>(taps.first.size());
  cv::Mat resized(height, right - left, image.type());
  std::vector<int32_t> sums(static_cast<size_t>(bytes));
  for (int row = 0; row < height; ++row) {
    std::fill(sums.begin(), sums.end(), kHalf);
    const int32_t* weights = taps.of(row);
    for (int tap = 0; tap < taps.count[row]; ++tap) {
      const int32_t weight = weights[tap];
      const uint8_t* from = image.ptr(taps.first[row] + tap) + left * channels;
      for (int i = 0; i < bytes; ++i) {
        sums[i] += weight * from[i];
      }
    }
    uint8_t* to = resized.ptr(row);
    for (int i = 0; i < bytes; ++i) {
      to[i] = to_pixel(sums[i]);
    }
  }
  return resized;
}

template <int channels>
void resize_row(const uint8_t* from, const Taps& taps, int offset, uint8_t* to) {
  const int width = static_cast<int>(taps.first.size());
  for (int x = 0; x < width; ++x) {
    int32_t sums[channels];
    std::fill(sums, sums + channels, kHalf);
    const int32_t* weights = taps.of(x);
    const uint8_t* pixel = from + (taps.first[x] - offset) * channels;
    for (int tap = 0; tap < taps.count[x]; ++tap, pixel += channels) {
      for (int channel = 0; channel < channels; ++channel) {
        sums[channel] += weights[tap] * pixel[channel];
      }
    }
    for (int channel = 0; channel < channels; ++channel) {
      to[x * channels + channel] = to_pixel(sums[channel]);
    }
  }
}

cv::Mat resize_nearest(const cv::Mat& image, const Box& box, int height, int width) {
  const size_t pixel = image.elemSize();
  cv::Mat resized(height, width, image.type());
  const double scale_y = (box.bottom - box.top) / height;
  const double scale_x = (box.right - box.left) / width;
  for (int y = 0; y < height; ++y) {
    const int row = std::clamp(static_cast<int>(box.top + (y + 0.5) * scale_y), 0, image.rows - 1);
    for (int x = 0; x < width; ++x) {
      const int column =
          std::clamp(static_cast<int>(box.left + (x + 0.5) * scale_x), 0, image.cols - 1);
      std::memcpy(resized.ptr(y, x), image.ptr(row, column), pixel);
    }
  }
  return resized;
}

bool is_whole(double value) { return value == std::floor(value); }

}  // namespace

cv::Mat resize_box(const cv::Mat& image, const Box& box, int height, int width,
                   Interpolation interpolation, Surroundings surroundings) {
  if (box.right - box.left == width && box.bottom - box.top == height && is_whole(box.left) &&
      is_whole(box.top)) {
    return image(cv::Rect(static_cast<int>(box.left), static_cast<int>(box.top), width, height));
  }
  if (interpolation == Interpolation::kNearest) {
    return resize_nearest(image, box, height, width);
  }
  const auto taps = [&](double low, double high, int length, int size) {
    const bool seen = surroundings == Surroundings::kSeen;
    const int begin = seen ? 0 : std::max(0, static_cast<int>(std::floor(low)));
    const int end = seen ? length : std::min(length, static_cast<int>(std::ceil(high)));
    return make_taps(low, high, begin, end, size, interpolation);
  };
  const Taps down = taps(box.top, box.bottom, image.rows, height);
  const Taps across = taps(box.left, box.right, image.cols, width);
  const int left = across.first.front();
  const int right = across.first.back() + across.count.back();
  // The vertical pass comes first: it is faster, and leaves fewer rows for the horizontal one.
  const cv::Mat rows = resize_down(image, down, left, right);
  cv::Mat resized(height, width, image.type());
  for (int y = 0; y < height; ++y) {
    if (image.channels() == 3) {
      resize_row<3>(rows.ptr(y), across, left, resized.ptr(y));
    } else {
      resize_row<1>(rows.ptr(y), across, left, resized.ptr(y));
    }
  }
  return resized;
}

}  // namespace softmoe
