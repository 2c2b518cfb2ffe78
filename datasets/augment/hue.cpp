#include "datasets/augment/hue.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

namespace softmoe {
namespace {

struct HsvPixel {
  uint8_t hue;
  uint8_t saturation;
  uint8_t value;
};

// Single and double precision are mixed as in Pillow's Convert.c, so that results are equal.
HsvPixel to_hsv(const uint8_t* rgb) {
  const auto [min, max] = std::minmax({rgb[0], rgb[1], rgb[2]});
  if (min == max) {
    return {0, 0, max};
  }
  const auto range = static_cast<float>(max - min);
  const auto below_max = [max = max, range](uint8_t channel) {
    return static_cast<float>(max - channel) / range;
  };
  const float red = below_max(rgb[0]);
  const float green = below_max(rgb[1]);
  const float blue = below_max(rgb[2]);
  float hue = blue - green;
  if (rgb[0] != max) {
    hue = static_cast<float>(rgb[1] == max ? 2.0 + red - blue : 4.0 + green - red);
  }
  hue = static_cast<float>(std::fmod(hue / 6.0 + 1.0, 1.0));
  const float saturation = range / static_cast<float>(max);
  return {static_cast<uint8_t>(hue * 255.0), static_cast<uint8_t>(saturation * 255.0), max};
}

void write_rgb(const HsvPixel& hsv, uint8_t* rgb) {
  if (hsv.saturation == 0) {
    std::fill(rgb, rgb + 3, hsv.value);
    return;
  }
  const auto sextant_place = static_cast<float>(hsv.hue * 6.0 / 255.0);
  const auto sextant = static_cast<int>(std::floor(sextant_place));
  const float inside = sextant_place - static_cast<float>(sextant);
  const auto saturation = static_cast<float>(hsv.saturation / 255.0);
  const auto part = [&hsv](double share) {
    return static_cast<uint8_t>(std::clamp(std::round(hsv.value * (1.0 - share)), 0.0, 255.0));
  };
  const uint8_t low = part(saturation);
  const uint8_t falling = part(static_cast<double>(saturation) * inside);
  const uint8_t rising = part(saturation * (1.0 - inside));
  const std::array<std::array<uint8_t, 3>, 6> colors{{{hsv.value, rising, low},
                                                      {falling, hsv.value, low},
                                                      {low, hsv.value, rising},
                                                      {low, falling, hsv.value},
                                                      {rising, low, hsv.value},
                                                      {hsv.value, low, falling}}};
  const auto& color = colors[static_cast<size_t>(sextant % 6)];
  std::copy(color.begin(), color.end(), rgb);
}

}  // namespace

cv::Mat adjust_hue(const cv::Mat& image, double share) {
  if (image.channels() == 1) {
    return image.clone();
  }
  const auto turn = static_cast<uint8_t>(static_cast<int>(share * 255.0));
  cv::Mat result(image.rows, image.cols, image.type());
  for (int y = 0; y < image.rows; ++y) {
    const uint8_t* from = image.ptr(y);
    uint8_t* to = result.ptr(y);
    for (int x = 0; x < image.cols; ++x, from += 3, to += 3) {
      auto hsv = to_hsv(from);
      hsv.hue = static_cast<uint8_t>(hsv.hue + turn);  // wraps at 256, as torchvision's does
      write_rgb(hsv, to);
    }
  }
  return result;
}

}  // namespace softmoe
