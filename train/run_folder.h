#pragma once
/// The folder of one training run: resolved options, records of progress, checkpoints.
///
///     config.toml             resolved options, readable by --config
///     summary.csv             one row per evaluation
///     evaluations.jsonl       one JSON object per evaluation, with the accuracy of each class
///     metrics.jsonl           one JSON object per record; nothing in it depends on the clock
///     timing.jsonl            seconds and speeds, which differ from run to run
///     events.out.tfevents.*   curves for TensorBoard, one file per sitting
///     last.h5, best.h5, checkpoint-<step>.h5, ema-<decay>.h5
///     dense.h5                the last one before --upcycle-at
///
/// A run that is interrupted at any moment and resumed from last.h5 leaves, byte for byte, the
/// summary.csv, metrics.jsonl and evaluations.jsonl of a run without interruption.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "checkpoints/checkpoint.h"
#include "core/options.h"
#include "train/event_file.h"
#include "train/folder_lock.h"
#include "train/record_file.h"

namespace softmoe {

/// One row of summary.csv, its columns in this order.
struct SummaryRow {
  double epoch = 0.0;       ///< trained so far, with the fraction of the last epoch
  int64_t step = 0;         ///< updates done
  double train_loss = 0.0;  ///< mean since the row before
  double eval_loss = 0.0;
  double eval_top1 = 0.0;               ///< in [0, 1]
  double eval_top5 = 0.0;               ///< in [0, 1]
  double lr = 0.0;                      ///< of the last update
  double eval_balanced_accuracy = 0.0;  ///< mean over classes, in [0, 1]

  bool operator==(const SummaryRow&) const = default;
};

/// A checkpoint of a run, and its file.
struct SavedRun {
  std::filesystem::path path;
  Checkpoint checkpoint;
};

/// Where a run writes. If a file cannot be written (no space left, no permission), an InputError of
/// one line names it; files then hold whole records only and last.h5 stays as it was.
class RunFolder {
 public:
  /// Names the folder, which begin() and save_checkpoint() make; throws InputError if a file is in
  /// its place.
  explicit RunFolder(std::filesystem::path path);
  /// A folder in which another process of the run writes: this one writes nothing there and reads
  /// nothing of it.
  static RunFolder of_other_process(std::filesystem::path path, bool has_checkpoint);

  const std::filesystem::path& path() const { return path_; }
  bool has_checkpoint() const;  ///< true if there is a checkpoint to resume from
  std::filesystem::path last_checkpoint() const;
  std::filesystem::path best_checkpoint() const;
  std::filesystem::path checkpoint_of(int64_t step) const;  ///< of the history

  /// Reads last.h5; if it is damaged or missing, the newest checkpoint of the history that can be
  /// read, which a line of the log says. Throws what load_checkpoint() throws for last.h5 if none
  /// can.
  SavedRun load() const;
  /// Throws InputError if the disk has no space for a checkpoint of `bytes`.
  void check_space(int64_t bytes) const;

  /// What begin() writes to config.toml, and TensorBoard shows.
  void set_config(const std::string& toml) { config_ = toml; }

  /// Opens the records for a sitting that continues after update `step`, and cuts off newer ones; 0
  /// starts them anew. Throws InputError if another process is training in the folder, a record
  /// file is damaged before `step`, or config.toml is not of a run.
  void begin(int64_t step);

  // The following need begin(). Steps of one kind of record must not decrease.

  /// `record` is an object with an integer "step" and nothing that depends on the clock.
  void add_metrics(const Json& record);
  /// A second row of a step, from an evaluation that was repeated, replaces the first.
  void add_summary(const SummaryRow& row);
  /// `record` is an object with an integer "step", of a whole evaluation; replaces that of the same
  /// step, too.
  void add_evaluation(const Json& record);
  /// `record` is an object with an integer "step".
  void add_timing(const Json& record);
  /// A point of a curve in TensorBoard.
  void add_scalar(const std::string& tag, double value, int64_t step);
  /// Writes all records to the disk; called before a checkpoint, so that none is older than it.
  void flush();

  /// Makes a checkpoint: `write` writes one file, whole or not at all, to the path that it gets.
  /// The file becomes checkpoint-<step>.h5 if `hist` > 0, best.h5 if `is_best`, and last of all
  /// last.h5; these are hard links if the file system has them. The `hist` newest checkpoints up to
  /// `step` stay.
  void save_checkpoint(int64_t step, bool is_best, int64_t hist,
                       const std::function<void(const std::filesystem::path&)>& write);

 private:
  RunFolder(std::filesystem::path path, bool has_checkpoint);

  void make() const;
  void check_config_is_ours() const;
  std::vector<int64_t> history() const;  // steps of checkpoints, the newest first
  void prune_history(int64_t step, int64_t hist) const;

  std::filesystem::path path_;
  bool is_others_ = false;
  bool others_checkpoint_ = false;
  std::string config_;
  std::optional<FolderLock> lock_;
  std::optional<RecordFile> metrics_;
  std::optional<RecordFile> summary_;
  std::optional<RecordFile> evaluations_;
  std::optional<RecordFile> timing_;
  std::optional<EventFile> events_;
};

}  // namespace softmoe
