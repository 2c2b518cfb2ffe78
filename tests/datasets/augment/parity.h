#pragma once
/// The reference numbers of augmentation; tests/fixtures/augment says where they come from.

#include <gtest/gtest.h>

#include <opencv2/core.hpp>
#include <string>
#include <vector>

#include "io/npz.h"
#include "support/temporary_folder.h"

namespace softmoe::test {

class AugmentReference : public testing::Test {
 protected:
  torch::Tensor at(const std::string& name) const { return npz_array(arrays_, name, path_); }
  bool has(const std::string& name) const {
    return std::any_of(arrays_.begin(), arrays_.end(),
                       [&name](const auto& item) { return item.first == name; });
  }
  std::vector<double> numbers(const std::string& name) const {
    const auto array = at(name).contiguous();
    return {array.data_ptr<double>(), array.data_ptr<double>() + array.numel()};
  }
  /// A copy of an array [height, width] or [height, width, 3].
  static cv::Mat image(const torch::Tensor& array) {
    const auto pixels = array.contiguous();
    return cv::Mat(static_cast<int>(pixels.size(0)), static_cast<int>(pixels.size(1)),
                   pixels.dim() == 3 ? CV_8UC3 : CV_8UC1, pixels.data_ptr<uint8_t>())
        .clone();
  }
  cv::Mat image(const std::string& name) const { return image(at("image." + name)); }

 private:
  std::filesystem::path path_ = fixture("augment/augment.npz");
  NamedTensors arrays_ = read_npz(path_);
};

/// The largest difference of two images of one size.
inline double max_difference(const cv::Mat& a, const cv::Mat& b) {
  return cv::norm(a, b, cv::NORM_INF);
}

}  // namespace softmoe::test
