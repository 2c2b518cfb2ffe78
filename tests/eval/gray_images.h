#pragma once
/// A small labelled set for tests of evaluation.

#include <string>
#include <vector>

#include "core/error.h"
#include "eval/batch_loop.h"

namespace softmoe::test {

inline constexpr int64_t kImages = 11;
inline constexpr int64_t kClasses = 3;

/// Gray 4 x 6 images, number i of the brightness 20 i and the label i mod 3; some unreadable.
class GrayImages : public Dataset {
 public:
  explicit GrayImages(std::vector<int64_t> bad = {}) : bad_(std::move(bad)) {}

  int64_t size() const override { return kImages; }
  Sample get(int64_t index) const override {
    if (std::find(bad_.begin(), bad_.end(), index) != bad_.end()) {
      throw InputError(sample_name(index), "an image", "noise");
    }
    return {.image = cv::Mat(4, 6, CV_8UC1, cv::Scalar(static_cast<double>(20 * index))),
            .label = index % kClasses};
  }
  const std::vector<std::string>& class_names() const override { return names_; }
  std::string sample_name(int64_t index) const override {
    return "gray[" + std::to_string(index) + "]";
  }

 private:
  std::vector<int64_t> bad_;
  std::vector<std::string> names_{"a", "b", "c"};
};

inline Transform gray_transform() {
  PreprocessOptions options;
  options.input_size = {1, 4, 6};
  options.mean = {0.0};
  options.std = {1.0};
  return Transform::evaluation(options);
}

inline LoaderOptions small_batches() {
  LoaderOptions options;
  options.batch_size = 4;
  options.workers = 2;
  options.max_bad_images = 0.5;
  return options;
}

inline BatchLoopOptions on(const torch::Device& device) {
  return {.device = device, .label = "Test", .images = kImages};
}

}  // namespace softmoe::test
