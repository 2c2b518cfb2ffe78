#pragma once
/// Image files as a data set.

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "datasets/dataset.h"

namespace softmoe {

/// Image files with labels.
class ImageFiles : public Dataset {
 public:
  using Labels = std::vector<std::vector<int64_t>>;

  /// `files` are pairs of a path and a label below the number of classes; -1 in a set without
  /// labels.
  ImageFiles(std::vector<std::pair<std::filesystem::path, int64_t>> files,
             std::vector<std::string> class_names);
  /// A multi-label set: `labels` of each file, in ascending order.
  ImageFiles(std::vector<std::filesystem::path> files, Labels labels,
             std::vector<std::string> class_names);

  /// Gives each file a caption, as many as there are files.
  void set_captions(std::vector<std::string> captions);

  int64_t size() const override { return static_cast<int64_t>(files_.size()); }
  Sample get(int64_t index) const override;
  int64_t label(int64_t index) const override;
  bool is_multi_label() const override { return !labels_.empty(); }
  std::vector<int64_t> labels(int64_t index) const override;
  const std::vector<std::string>& class_names() const override { return class_names_; }
  bool has_captions() const override { return !captions_.empty(); }
  std::string caption(int64_t index) const override;
  std::string sample_name(int64_t index) const override;
  std::optional<std::vector<uint8_t>> encoded_bytes(int64_t index) const override;

 private:
  std::vector<std::pair<std::filesystem::path, int64_t>> files_;
  Labels labels_;  // of a multi-label set
  std::vector<std::string> captions_;
  std::vector<std::string> class_names_;
};

}  // namespace softmoe
