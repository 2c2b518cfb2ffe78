#pragma once
/// Some images of a data set as a set of their own.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "datasets/dataset.h"

namespace softmoe {

/// The images of `whole` at `indices`, in that order. A subset of an endless set ends.
class Subset : public Dataset {
 public:
  Subset(std::shared_ptr<const Dataset> whole, std::vector<int64_t> indices);
  /// `whole` must outlive the subset.
  Subset(const Dataset& whole, std::vector<int64_t> indices);

  int64_t size() const override { return static_cast<int64_t>(indices_.size()); }
  Sample get(int64_t index) const override { return whole_->get(at(index)); }
  int64_t label(int64_t index) const override { return whole_->label(at(index)); }
  bool is_multi_label() const override { return whole_->is_multi_label(); }
  std::vector<int64_t> labels(int64_t index) const override { return whole_->labels(at(index)); }
  const std::vector<std::string>& class_names() const override { return whole_->class_names(); }
  std::vector<std::string> class_texts() const override { return whole_->class_texts(); }
  bool has_captions() const override { return whole_->has_captions(); }
  std::string caption(int64_t index) const override { return whole_->caption(at(index)); }
  std::string sample_name(int64_t index) const override { return whole_->sample_name(at(index)); }
  std::optional<std::vector<uint8_t>> encoded_bytes(int64_t index) const override {
    return whole_->encoded_bytes(at(index));
  }

 private:
  int64_t at(int64_t index) const;

  std::shared_ptr<const Dataset> whole_;
  std::vector<int64_t> indices_;
};

/// Index `number` of `count` that are spread evenly over a set of `size` images.
int64_t spread_index(int64_t size, int64_t number, int64_t count);

/// At most `max_images` of `whole`, spread evenly; `whole` must outlive them.
Subset spread_subset(const Dataset& whole, int64_t max_images);

}  // namespace softmoe
