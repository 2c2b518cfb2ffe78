#pragma once
/// Teachers whose outputs were computed before.

#include <memory>
#include <string>
#include <unordered_map>

#include "train/run_options.h"
#include "train/teacher.h"
#include "train/teacher_outputs.h"
#include "train/training_data.h"

namespace softmoe {

/// Gives the outputs of a folder. An image is found by what augmentation and mixing made of it, so
/// that batches may come in any order; in the order of the run each part is read once.
class StoredTeacher final : public Teacher {
 public:
  /// The outputs, at one temperature, of a teacher of `classes`.
  StoredTeacher(TeacherOutputFolder folder, int64_t classes);

  /// `temperature` must be that of the outputs. Throws InputError that names the folder for an
  /// image that has none.
  torch::Tensor probabilities(const Batch& batch, double temperature) override;

 private:
  int64_t row_of(int64_t view, int64_t image);
  void open_part(size_t part);

  TeacherOutputFolder folder_;
  int64_t classes_;
  size_t part_ = 0;
  torch::Tensor values_;  // [rows, classes], of the part; undefined before the first
  torch::Tensor images_;  // [rows], of the part
  std::unordered_map<int64_t, int64_t> rows_;  // of the part, by view_checksums()
};

/// Where outputs are stored.
struct TeacherStoreOptions {
  std::string folder;  ///< empty: they are not stored
  int64_t topk = 0;    ///< classes per image; 0: all

  bool operator==(const TeacherStoreOptions&) const = default;
};
void describe(OptionTable& table, TeacherStoreOptions& options);

/// What outputs belong to and are computed from.
struct TeacherStoreTask {
  const RunOptions& run;     ///< with distillation among its objectives
  const TrainingData& data;  ///< of the run
  Json teachers;             ///< digests and dtype
  int64_t classes = 0;       ///< of the student
  torch::Device device = torch::kCPU;
};

/// Computes what `teacher` gives in all batches of the run of `task`, from the first on that
/// `options.folder` does not have yet, and returns a teacher that reads it; `teacher` itself if
/// nothing is to be stored. Shows its progress. Throws UsageError for a run whose number of batches
/// is not known, InputError for a folder of other teachers, data, seed or augmentation, Interrupted
/// on Ctrl-C after saving.
std::shared_ptr<Teacher> store_teacher(const TeacherStoreOptions& options,
                                       std::shared_ptr<Teacher> teacher,
                                       const TeacherStoreTask& task);

}  // namespace softmoe
