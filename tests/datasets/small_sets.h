#pragma once
/// Small sets and files for the tests of data sets.

#include <filesystem>
#include <opencv2/core.hpp>
#include <set>
#include <string>
#include <vector>

#include "datasets/dataset.h"
#include "support/error_text.h"

namespace softmoe::test {

/// Gray images of 5x7 pixels in memory whose pixels and label (index % 3) depend on their index.
class NumberedSet : public Dataset {
 public:
  explicit NumberedSet(int64_t size) : size_(size) {}

  static constexpr int kHeight = 5;
  static constexpr int kWidth = 7;

  std::set<int64_t> bad;     ///< get() throws InputError for these
  int64_t broken = -1;       ///< get() throws std::logic_error for this
  bool without_end = false;  ///< what endless() says

  int64_t size() const override { return size_; }
  Sample get(int64_t index) const override;
  int64_t label(int64_t index) const override { return index % 3; }
  const std::vector<std::string>& class_names() const override { return names_; }
  std::string sample_name(int64_t index) const override;
  bool endless() const override { return without_end; }

 private:
  int64_t size_;
  std::vector<std::string> names_ = {"zero", "one", "two"};
};

void write_file(const std::filesystem::path& path, const std::vector<uint8_t>& bytes);
std::vector<uint8_t> gzipped(const std::vector<uint8_t>& bytes);
void append(std::vector<uint8_t>& bytes, const std::vector<uint8_t>& more);
/// `bytes` without the last `count`.
std::vector<uint8_t> cut(std::vector<uint8_t> bytes, size_t count);

/// An IDX file of unsigned bytes.
std::vector<uint8_t> idx_bytes(const std::vector<uint32_t>& shape,
                               const std::vector<uint8_t>& values);

/// An RGB image of smooth colours and some texture that depends on `seed`.
cv::Mat picture(int height, int width, uint64_t seed);
std::vector<uint8_t> jpeg_bytes(const cv::Mat& rgb);

/// Returns true if two images have equal size, channels and pixels.
bool same_pixels(const cv::Mat& a, const cv::Mat& b);

}  // namespace softmoe::test
