#pragma once
/// The parts of a data set: names of splits, subsets, and a hold-out where a source has one part.

#include <memory>
#include <string>
#include <vector>

#include "datasets/dataset.h"

namespace softmoe {

/// The part of a set that a split's name stands for.
enum class SplitKind { kTrain, kVal, kAll };

/// The kind that `split` stands for, nothing where it is no common name: "train", "training";
/// "val", "valid", "validation", "test", "eval"; "all".
std::optional<SplitKind> split_kind(const std::string& split);
/// The same for sources that have these parts only; throws UsageError that names `source`.
SplitKind require_split_kind(const std::string& split, const std::string& source);

/// The images of `whole` at `indices`, in that order.
class Subset : public Dataset {
 public:
  Subset(std::shared_ptr<const Dataset> whole, std::vector<int64_t> indices);

  int64_t size() const override { return static_cast<int64_t>(indices_.size()); }
  Sample get(int64_t index) const override { return whole_->get(at(index)); }
  int64_t label(int64_t index) const override { return whole_->label(at(index)); }
  const std::vector<std::string>& class_names() const override { return whole_->class_names(); }
  std::string sample_name(int64_t index) const override { return whole_->sample_name(at(index)); }
  std::optional<std::vector<uint8_t>> encoded_bytes(int64_t index) const override {
    return whole_->encoded_bytes(at(index));
  }

 private:
  int64_t at(int64_t index) const;

  std::shared_ptr<const Dataset> whole_;
  std::vector<int64_t> indices_;
};

/// The train or val part of a set that comes in one piece: every tenth image of each class in the
/// set's order, from the second on, is held out as val. kAll gives the set itself.
std::unique_ptr<Dataset> hold_out(std::unique_ptr<Dataset> whole, SplitKind kind);

/// Throws c10::IndexError unless `index` is in [0, size).
void check_index(int64_t index, int64_t size);

/// "0", "1", ... for sets whose classes have no names.
std::vector<std::string> numbered_classes(int64_t count);

}  // namespace softmoe
