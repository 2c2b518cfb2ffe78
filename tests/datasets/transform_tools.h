#pragma once
/// What tests of transforms make and look at.

#include <utility>
#include <vector>

#include "core/rng.h"
#include "datasets/transforms.h"

namespace softmoe::test {

/// The values that `transform` writes for `image` with the random stream `key`.
inline std::vector<float> applied(const Transform& transform, const cv::Mat& image,
                                  uint64_t key = 1) {
  Rng rng(key);
  std::vector<float> out(
      static_cast<size_t>(transform.channels() * transform.height() * transform.width()), 1e9F);
  transform.apply({image, 0}, rng, out.data());
  return out;
}

/// Options whose floats are the pixels themselves.
inline PreprocessOptions pixel_options(std::vector<int64_t> input_size) {
  PreprocessOptions options;
  options.input_size = std::move(input_size);
  options.train_crop = CropMode::kNone;
  options.crop = CropMode::kNone;
  options.mean = {0.0};
  options.std = {1.0 / 255.0};
  return options;
}

}  // namespace softmoe::test
