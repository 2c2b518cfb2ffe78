#include "datasets/augment/image_operations.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <opencv2/core.hpp>
#include <vector>

namespace softmoe {
namespace {

using PixelTable = std::array<uint8_t, 256>;
using Histogram = std::array<int64_t, 256>;

uint8_t clip8(int64_t value) { return static_cast<uint8_t>(std::clamp<int64_t>(value, 0, 255)); }

template <typename Value>
PixelTable pixel_table(const Value& value_of) {
  PixelTable table{};
  for (int pixel = 0; pixel < 256; ++pixel) {
    table[static_cast<size_t>(pixel)] = clip8(value_of(pixel));
  }
  return table;
}

/// Calls `change` with each row of a new image, that of `image`, and its number of bytes.
template <typename Change>
cv::Mat changed_rows(const cv::Mat& image, const Change& change) {
  cv::Mat result(image.rows, image.cols, image.type());
  const int bytes = image.cols * image.channels();
  for (int y = 0; y < image.rows; ++y) {
    change(image.ptr(y), result.ptr(y), bytes);
  }
  return result;
}

cv::Mat mapped(const cv::Mat& image, const PixelTable& table) {
  return changed_rows(image, [&table](const uint8_t* from, uint8_t* to, int bytes) {
    std::transform(from, from + bytes, to, [&table](uint8_t pixel) { return table[pixel]; });
  });
}

/// Maps each channel by the table that `table_of` makes of its histogram.
cv::Mat mapped_by_histogram(const cv::Mat& image, PixelTable (*table_of)(const Histogram&)) {
  const int channels = image.channels();
  std::vector<Histogram> histograms(static_cast<size_t>(channels), Histogram{});
  for (int y = 0; y < image.rows; ++y) {
    const uint8_t* pixel = image.ptr(y);
    for (int x = 0; x < image.cols; ++x) {
      for (auto& histogram : histograms) {
        ++histogram[*pixel++];
      }
    }
  }
  std::vector<PixelTable> tables(histograms.size());
  std::transform(histograms.begin(), histograms.end(), tables.begin(), table_of);
  return changed_rows(image, [&tables](const uint8_t* from, uint8_t* to, int bytes) {
    const auto step = static_cast<int>(tables.size());
    for (int i = 0; i < bytes; i += step) {
      for (int channel = 0; channel < step; ++channel) {
        to[i + channel] = tables[static_cast<size_t>(channel)][from[i + channel]];
      }
    }
  });
}

PixelTable stretching_table(const Histogram& histogram) {
  int low = 0;
  int high = 255;
  while (low < 255 && histogram[static_cast<size_t>(low)] == 0) {
    ++low;
  }
  while (high > 0 && histogram[static_cast<size_t>(high)] == 0) {
    --high;
  }
  if (high <= low) {
    return pixel_table([](int pixel) { return pixel; });
  }
  const double scale = 255.0 / (high - low);
  const double offset = -low * scale;
  return pixel_table([=](int pixel) { return static_cast<int>(pixel * scale + offset); });
}

PixelTable equalizing_table(const Histogram& histogram) {
  int64_t sum = 0;
  int64_t last = 0;
  for (const int64_t count : histogram) {
    sum += count;
    last = count > 0 ? count : last;
  }
  const int64_t step = (sum - last) / 255;
  if (step == 0) {
    return pixel_table([](int pixel) { return pixel; });
  }
  int64_t before = step / 2;
  return pixel_table([&](int pixel) {
    const int64_t value = before / step;
    before += histogram[static_cast<size_t>(pixel)];
    return value;
  });
}

/// Means over 3 x 3 pixels with the middle counted five times; the outermost pixels stay.
cv::Mat smoothed(const cv::Mat& image) {
  cv::Mat result = image.clone();
  const int step = image.channels();
  const int end = (image.cols - 1) * step;
  for (int y = 1; y + 1 < image.rows; ++y) {
    const uint8_t* above = image.ptr(y - 1);
    const uint8_t* middle = image.ptr(y);
    const uint8_t* below = image.ptr(y + 1);
    uint8_t* to = result.ptr(y);
    for (int x = step; x < end; ++x) {
      const int sum = above[x - step] + above[x] + above[x + step] + middle[x - step] +
                      5 * middle[x] + middle[x + step] + below[x - step] + below[x] +
                      below[x + step];
      to[x] = static_cast<uint8_t>((2 * sum + 13) / 26);
    }
  }
  return result;
}

/// The mean of `gray`, rounded.
int mean_pixel(const cv::Mat& gray) {
  int64_t sum = 0;
  for (int y = 0; y < gray.rows; ++y) {
    sum = std::accumulate(gray.ptr(y), gray.ptr(y) + gray.cols, sum);
  }
  return static_cast<int>(static_cast<double>(sum) / static_cast<double>(gray.total()) + 0.5);
}

cv::Mat like(const cv::Mat& gray, const cv::Mat& image) {
  return image.channels() == 3 ? as_rgb(gray) : gray;
}

}  // namespace

cv::Mat luma(const cv::Mat& image) {
  if (image.channels() == 1) {
    return image.clone();
  }
  cv::Mat gray(image.rows, image.cols, CV_8UC1);
  for (int y = 0; y < image.rows; ++y) {
    const uint8_t* from = image.ptr(y);
    uint8_t* to = gray.ptr(y);
    for (int x = 0; x < image.cols; ++x, from += 3) {
      // Weights of 2^16.
      to[x] =
          static_cast<uint8_t>((from[0] * 19595 + from[1] * 38470 + from[2] * 7471 + 0x8000) >> 16);
    }
  }
  return gray;
}

cv::Mat as_rgb(const cv::Mat& image) {
  if (image.channels() == 3) {
    return image.clone();
  }
  cv::Mat rgb;
  cv::merge(std::vector<cv::Mat>(3, image), rgb);
  return rgb;
}

cv::Mat autocontrast(const cv::Mat& image) { return mapped_by_histogram(image, stretching_table); }

cv::Mat equalize(const cv::Mat& image) { return mapped_by_histogram(image, equalizing_table); }

cv::Mat invert(const cv::Mat& image) {
  return mapped(image, pixel_table([](int pixel) { return 255 - pixel; }));
}

cv::Mat posterize(const cv::Mat& image, int bits) {
  const int mask = bits >= 8 ? 0xff : ~((1 << (8 - std::max(bits, 0))) - 1);
  return mapped(image, pixel_table([mask](int pixel) { return pixel & mask; }));
}

cv::Mat solarize(const cv::Mat& image, double threshold) {
  return mapped(image,
                pixel_table([=](int pixel) { return pixel < threshold ? pixel : 255 - pixel; }));
}

cv::Mat solarize_add(const cv::Mat& image, int amount) {
  return mapped(image,
                pixel_table([=](int pixel) { return pixel < 128 ? pixel + amount : pixel; }));
}

cv::Mat blend(const cv::Mat& from, const cv::Mat& to, double share) {
  const auto alpha = static_cast<float>(share);
  cv::Mat result(to.rows, to.cols, to.type());
  const int bytes = to.cols * to.channels();
  for (int y = 0; y < to.rows; ++y) {
    const uint8_t* a = from.ptr(y);
    const uint8_t* b = to.ptr(y);
    uint8_t* out = result.ptr(y);
    for (int i = 0; i < bytes; ++i) {
      const float value = static_cast<float>(a[i]) + alpha * static_cast<float>(b[i] - a[i]);
      out[i] = static_cast<uint8_t>(std::clamp(value, 0.0F, 255.0F));
    }
  }
  return result;
}

cv::Mat adjust_color(const cv::Mat& image, double factor) {
  return blend(like(luma(image), image), image, factor);
}

cv::Mat adjust_contrast(const cv::Mat& image, double factor) {
  const cv::Mat mean(image.rows, image.cols, image.type(),
                     cv::Scalar::all(mean_pixel(luma(image))));
  return blend(mean, image, factor);
}

cv::Mat adjust_brightness(const cv::Mat& image, double factor) {
  return blend(cv::Mat::zeros(image.rows, image.cols, image.type()), image, factor);
}

cv::Mat adjust_sharpness(const cv::Mat& image, double factor) {
  return blend(smoothed(image), image, factor);
}

}  // namespace softmoe
