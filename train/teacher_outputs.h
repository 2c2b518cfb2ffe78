#pragma once
/// Files of what teachers gave for the images of a run.

#include <torch/types.h>

#include <cstdint>
#include <filesystem>
#include <vector>

#include "core/json_text.h"

namespace softmoe {

/// What teachers gave for some images, one row each.
struct TeacherOutputs {
  torch::Tensor images;         ///< [rows] int64: the images' places in the data set
  torch::Tensor views;          ///< [rows] int64: view_checksums()
  torch::Tensor classes;        ///< [rows, kept] int32: the most probable classes
  torch::Tensor probabilities;  ///< [rows, kept] fp32: theirs

  int64_t rows() const { return images.defined() ? images.size(0) : 0; }
};

/// Checksums [batch] int64, XXH3-64, of images [batch, ...] as they are after augmentation and
/// mixing: what a teacher says follows from them, so that no output is used for another view.
torch::Tensor view_checksums(const torch::Tensor& images);

/// Keeps the `kept` most probable classes of `probabilities` [batch, classes].
TeacherOutputs top_outputs(const torch::Tensor& images, const torch::Tensor& views,
                           const torch::Tensor& probabilities, int64_t kept);

/// Probabilities [rows, classes] fp32 of all classes: those that are not kept share evenly what the
/// others leave of 1.
torch::Tensor all_probabilities(const TeacherOutputs& outputs, int64_t classes);

/// A folder of outputs in the order of a run's batches, in parts `batch-<number of the first>.h5`:
/// HDF5 files with checksums (checkpoints/checkpoint.h), each written whole or not at all.
class TeacherOutputFolder {
 public:
  /// Opens the folder at `path`, which need not exist. Throws InputError that names the folder and
  /// what differs if its outputs do not belong to `identity`, values by name, or if a part is
  /// missing between others.
  TeacherOutputFolder(std::filesystem::path path, Json identity);

  /// Batches that are there: the first of the run.
  int64_t batches() const { return batches_; }
  /// Adds the outputs of the next `batches` batches. Throws InputError if they cannot be written.
  void add(int64_t batches, const TeacherOutputs& outputs);

  /// The number of parts.
  size_t parts() const { return parts_.size(); }
  /// Reads a part. Throws InputError for a damaged file.
  TeacherOutputs read(size_t part) const;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path file_of(int64_t first_batch) const;

  std::filesystem::path path_;
  Json identity_;
  int64_t batches_ = 0;
  std::vector<int64_t> parts_;  // the first batch of each
};

}  // namespace softmoe
