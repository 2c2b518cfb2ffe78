#include "train/stored_teacher.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include <utility>
#include <vector>

#include "core/error.h"
#include "core/interrupt_guard.h"
#include "core/log.h"
#include "core/progress.h"
#include "train/batch_feed.h"
#include "train/data_identity.h"
#include "train/run_length.h"

namespace softmoe {
namespace {

/// Batches of one file.
constexpr size_t kPartBatches = 256;

Json identity_of(const TeacherStoreOptions& options, const TeacherStoreTask& task) {
  const auto& run = task.run;
  const auto data = data_identity(*task.data.train, *task.data.val, run.data);
  return {{"classes", task.classes},
          {"training images", to_json(data).at("train")},
          {"seed", run.train.seed},
          {"batch size", run.loader.batch_size},
          {"sampling", enum_name(run.sampling.sampling)},
          {"augmentation", Transform::training(run.preprocess).text() + mixing_text(run.mixup)},
          {"teachers", task.teachers},
          {"temperature", run.objectives.distillation->temperature},
          {"top-k", options.topk}};
}

/// Outputs of batches that are not in a file yet.
class PendingOutputs {
 public:
  explicit PendingOutputs(TeacherOutputFolder& folder) : folder_(folder) {}

  void add(TeacherOutputs outputs) {
    parts_.push_back(std::move(outputs));
    if (parts_.size() >= kPartBatches) {
      write();
    }
  }
  void write() {
    if (parts_.empty()) {
      return;
    }
    const auto all = [this](torch::Tensor TeacherOutputs::*member) {
      std::vector<torch::Tensor> tensors;
      for (const auto& part : parts_) {
        tensors.push_back(part.*member);
      }
      return at::cat(tensors);
    };
    folder_.add(std::ssize(parts_), {.images = all(&TeacherOutputs::images),
                                     .views = all(&TeacherOutputs::views),
                                     .classes = all(&TeacherOutputs::classes),
                                     .probabilities = all(&TeacherOutputs::probabilities)});
    parts_.clear();
  }

 private:
  TeacherOutputFolder& folder_;
  std::vector<TeacherOutputs> parts_;
};

/// Batches of the whole run of `task`.
int64_t batches_of_run(const TeacherStoreTask& task, int64_t updates_per_epoch) {
  const auto& run = task.run;
  const int64_t batches = run.train.grad_accum_steps;
  const RunLength length(
      run.train, {.per_epoch = updates_per_epoch, .images = run.loader.batch_size * batches});
  return length.total_steps() * batches;
}

void compute_outputs(TeacherOutputFolder& folder, Teacher& teacher,
                     const TeacherStoreOptions& options, const TeacherStoreTask& task) {
  const auto& run = task.run;
  BatchFeed feed(*task.data.train, Transform::training(run.preprocess), training_loader(run),
                 run.train.grad_accum_steps, task.device, run.mixup, task.classes);
  const int64_t total = batches_of_run(task, feed.updates_per_epoch());
  const int64_t kept = options.topk > 0 ? options.topk : task.classes;
  const InterruptGuard interrupt;
  PendingOutputs pending(folder);
  Progress progress("Teacher", total, "batches");
  for (int64_t number = folder.batches(); number < total; ++number) {
    if (interrupt_requested()) {
      pending.write();
      throw Interrupted(fmt::format(
          "interrupted after the teacher's batch {} of {}, saved in {}; the same command started "
          "again goes on there",
          number, total, options.folder));
    }
    const auto batch = feed.take(number);
    const auto values =
        teacher.probabilities(batch, run.objectives.distillation->temperature);  // [batch, classes]
    pending.add(top_outputs(batch.indices, view_checksums(batch.images), values, kept));
    progress.update(number + 1);
  }
  pending.write();
  progress.finish();
}

}  // namespace

void describe(OptionTable& table, TeacherStoreOptions& options) {
  table.add("teacher-outputs", options.folder,
            "compute what the teachers give once, before training, and keep it in this folder, for "
            "runs of the same data, seed and augmentation; empty: while training",
            {.unit = "folder"});
  table.add("teacher-topk", options.topk,
            "classes per image that are kept there; the others share the rest evenly; 0: all",
            {.unit = "classes", .min = 0});
}

StoredTeacher::StoredTeacher(TeacherOutputFolder folder, int64_t classes)
    : folder_(std::move(folder)), classes_(classes) {}

void StoredTeacher::open_part(size_t part) {
  const auto outputs = folder_.read(part);
  part_ = part;
  values_ = all_probabilities(outputs, classes_);  // [rows, classes]
  images_ = outputs.images;                        // [rows]
  rows_.clear();
  for (int64_t row = 0; row < outputs.rows(); ++row) {
    rows_[outputs.views.const_data_ptr<int64_t>()[row]] = row;
  }
}

/// The row of the image in the part that has it, which is opened.
int64_t StoredTeacher::row_of(int64_t view, int64_t image) {
  for (size_t tried = 0; tried <= folder_.parts(); ++tried) {
    const auto found = rows_.find(view);
    if (found != rows_.end() && images_.const_data_ptr<int64_t>()[found->second] == image) {
      return found->second;
    }
    if (tried < folder_.parts()) {
      open_part(values_.defined() ? (part_ + 1) % folder_.parts() : 0);
    }
  }
  throw InputError(folder_.path().string(),
                   "what the teachers give for this view of image " + std::to_string(image),
                   "none");
}

torch::Tensor StoredTeacher::probabilities(const Batch& batch, double /*temperature*/) {
  const auto views = view_checksums(batch.images);       // [batch]
  const auto images = batch.indices.cpu().contiguous();  // [batch]
  std::vector<torch::Tensor> rows;
  for (int64_t place = 0; place < views.size(0); ++place) {
    const int64_t row =
        row_of(views.const_data_ptr<int64_t>()[place], images.const_data_ptr<int64_t>()[place]);
    rows.push_back(values_[row]);
  }
  return torch::stack(rows).to(batch.images.device());  // [batch, classes]
}

std::shared_ptr<Teacher> store_teacher(const TeacherStoreOptions& options,
                                       std::shared_ptr<Teacher> teacher,
                                       const TeacherStoreTask& task) {
  if (options.folder.empty()) {
    return teacher;
  }
  if (task.run.train.max_time.seconds > 0.0) {
    throw UsageError("--teacher-outputs",
                     "--epochs instead of --max-time, since the number of batches must be known",
                     "--max-time");
  }
  TeacherOutputFolder folder(options.folder, identity_of(options, task));
  const int64_t present = folder.batches();
  compute_outputs(folder, *teacher, options, task);
  log_line(fmt::format("teacher outputs of {} batches in {}, {} of them from before",
                       folder.batches(), options.folder, present));
  return std::make_shared<StoredTeacher>(std::move(folder), task.classes);
}

}  // namespace softmoe
