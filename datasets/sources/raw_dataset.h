#pragma once
/// Small data sets whose pixels are held in memory.

#include <string>
#include <vector>

#include "datasets/dataset.h"

namespace softmoe {

/// Images of one size in memory, one after the other.
struct RawImages {
  std::vector<uint8_t> pixels{};  ///< [images, height, width, channels]
  std::vector<int64_t> labels{};  ///< [images]
  int height = 0;
  int width = 0;
  int channels = 1;
};

/// A set of RawImages. Record i of `name` is called "name[i]".
class RawDataset : public Dataset {
 public:
  RawDataset(std::string name, RawImages images, std::vector<std::string> class_names);

  int64_t size() const override { return static_cast<int64_t>(images_.labels.size()); }
  Sample get(int64_t index) const override;
  int64_t label(int64_t index) const override;
  const std::vector<std::string>& class_names() const override { return class_names_; }
  std::string sample_name(int64_t index) const override;

 private:
  std::string name_;
  RawImages images_;
  std::vector<std::string> class_names_;
};

}  // namespace softmoe
