#include "train/run_folder.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/log.h"
#include "core/text_format.h"
#include "io/atomic_file.h"
#include "train/numbered_name.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSummaryHeader =
    "epoch,step,train_loss,eval_loss,eval_top1,eval_top5,lr,eval_balanced_accuracy";
/// The columns of runs that were begun before the last one was recorded.
constexpr std::string_view kEarlierSummaryHeader =
    "epoch,step,train_loss,eval_loss,eval_top1,eval_top5,lr";
constexpr std::string_view kHistoryPrefix = "checkpoint-";
constexpr std::string_view kNextCheckpoint = "next.h5";

[[noreturn]] void throw_write_error(const fs::path& path, const std::error_code& error) {
  throw InputError("cannot write " + path.string() + ": " + system_error_text(error.value()));
}

void remove_quietly(const fs::path& path) {
  std::error_code ignored;
  fs::remove(path, ignored);
}

/// Makes `to` a hard link of `from`, or a copy if the file system has no hard links.
void share_file(const fs::path& from, const fs::path& to) {
  write_atomically(to, [&](const fs::path& temporary) {
    std::error_code error;
    fs::create_hard_link(from, temporary, error);
    if (error && (!fs::copy_file(from, temporary, error) || error)) {
      throw_write_error(to, error);
    }
  });
}

/// Gives the rows of a summary that lacks the last column an empty cell there.
void complete_summary(const fs::path& path) {
  if (!fs::exists(path)) {
    return;
  }
  const auto text = read_text_file(path);
  if (!text.starts_with(std::string(kEarlierSummaryHeader) + "\n")) {
    return;
  }
  std::string completed(kSummaryHeader);
  for (const char c : text.substr(kEarlierSummaryHeader.size())) {
    completed += c == '\n' && completed.size() > kSummaryHeader.size() ? ",\n" : std::string(1, c);
  }
  write_text_file(path, completed);
}

SavedRun read_all(const fs::path& path) {
  return {.path = path, .checkpoint = load_checkpoint(path, {.ema = true, .helpers = true})};
}

/// The step in the name of a checkpoint of the history; nothing for other files.
std::optional<int64_t> history_step(const std::string& name) {
  return number_in_name(name, kHistoryPrefix, ".h5");
}

/// Removes incomplete checkpoints of a process that was killed.
void remove_unfinished(const fs::path& folder) {
  std::vector<fs::path> unfinished;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const auto name = entry.path().filename().string();
    if (name == kNextCheckpoint || name.find(".h5.tmp") != std::string::npos) {
      unfinished.push_back(entry.path());
    }
  }
  std::for_each(unfinished.begin(), unfinished.end(), remove_quietly);
}

int64_t step_of(const Json& record) {
  TORCH_CHECK_VALUE(
      record.is_object() && record.contains("step") && record.at("step").is_number_integer(),
      "RunFolder: a record needs an integer \"step\", got ", record.dump());
  return record.at("step").get<int64_t>();
}

/// `text` as a block of code in Markdown.
std::string code_block(const std::string& text) {
  std::string block = "    ";
  for (const char character : text) {
    block += character == '\n' ? std::string("\n    ") : std::string(1, character);
  }
  return block;
}

}  // namespace

RunFolder::RunFolder(fs::path path) : path_(std::move(path)) {
  // Nothing is made yet, so that a start that is refused later leaves nothing.
  auto place = path_;
  std::error_code error;
  while (!fs::exists(place, error) && place.has_relative_path()) {
    place = place.parent_path();
  }
  if (fs::exists(place, error) && !fs::is_directory(place, error)) {
    throw InputError("cannot make the run folder " + path_.string() + ": " + place.string() +
                     " is a file");
  }
}

RunFolder::RunFolder(fs::path path, bool has_checkpoint)
    : path_(std::move(path)), is_others_(true), others_checkpoint_(has_checkpoint) {}

RunFolder RunFolder::of_other_process(fs::path path, bool has_checkpoint) {
  return {std::move(path), has_checkpoint};
}

void RunFolder::make() const {
  std::error_code error;
  fs::create_directories(path_, error);
  if (error || !fs::is_directory(path_, error)) {
    throw InputError("cannot make the run folder " + path_.string() + ": " +
                     (error ? system_error_text(error.value()) : "a file is in its place"));
  }
}

bool RunFolder::has_checkpoint() const {
  if (is_others_) {
    return others_checkpoint_;
  }
  std::error_code error;
  return fs::exists(last_checkpoint(), error) || !history().empty();
}
fs::path RunFolder::last_checkpoint() const { return path_ / "last.h5"; }
fs::path RunFolder::best_checkpoint() const { return path_ / "best.h5"; }
fs::path RunFolder::checkpoint_of(int64_t step) const {
  return path_ / fmt::format("{}{}.h5", kHistoryPrefix, step);
}

SavedRun RunFolder::load() const {
  try {
    return read_all(last_checkpoint());
  } catch (const InputError& error) {
    for (const auto step : history()) {
      try {
        auto saved = read_all(checkpoint_of(step));
        log_line(fmt::format("{}; falling back to {}", error.what(), saved.path.string()));
        return saved;
      } catch (const InputError&) {
        // The one before it may be whole.
      }
    }
    throw;
  }
}

void RunFolder::check_space(int64_t bytes) const {
  if (is_others_) {
    return;
  }
  std::error_code error;
  const auto space = fs::space(path_, error);
  if (!error && space.available < static_cast<uint64_t>(bytes)) {
    throw InputError(path_.string(),
                     format_bytes(static_cast<double>(bytes)) + " of free space for a checkpoint",
                     format_bytes(static_cast<double>(space.available)));
  }
}

void RunFolder::check_config_is_ours() const {
  std::error_code error;
  const auto config = path_ / "config.toml";
  if (!config_.empty() && fs::exists(config, error) && !fs::exists(path_ / "summary.csv", error) &&
      !has_checkpoint()) {
    throw InputError(config.string(), "no file, since a run keeps its options there",
                     "one that no run has written; rename it, or choose another --experiment");
  }
}

void RunFolder::begin(int64_t step) {
  TORCH_CHECK_VALUE(step >= 0, "RunFolder: cannot begin after step ", step);
  if (is_others_) {
    return;
  }
  make();
  if (!lock_) {
    lock_.emplace(path_);
  }
  remove_unfinished(path_);
  check_config_is_ours();
  metrics_.emplace(path_ / "metrics.jsonl", json_lines(), step);
  complete_summary(path_ / "summary.csv");
  summary_.emplace(path_ / "summary.csv", csv_rows(std::string(kSummaryHeader)), step);
  evaluations_.emplace(path_ / "evaluations.jsonl", json_lines(), step);
  timing_.emplace(path_ / "timing.jsonl", json_lines(), step);
  events_.emplace(path_, step);
  if (!config_.empty()) {
    // After the records, which show whose config it is.
    write_text_file(path_ / "config.toml", config_);
    events_->add_text("config", code_block(config_), step);
  }
}

void RunFolder::add_metrics(const Json& record) {
  if (is_others_) {
    return;
  }
  TORCH_CHECK_VALUE(metrics_, "RunFolder: add_metrics before begin");
  metrics_->append(step_of(record), record.dump());
}

void RunFolder::add_summary(const SummaryRow& row) {
  if (is_others_) {
    return;
  }
  TORCH_CHECK_VALUE(summary_, "RunFolder: add_summary before begin");
  // Without a precision fmt prints the shortest text that reads back as the same number.
  summary_->put(row.step, fmt::format("{},{},{},{},{},{},{},{}", row.epoch, row.step,
                                      row.train_loss, row.eval_loss, row.eval_top1, row.eval_top5,
                                      row.lr, row.eval_balanced_accuracy));
}

void RunFolder::add_evaluation(const Json& record) {
  if (is_others_) {
    return;
  }
  TORCH_CHECK_VALUE(evaluations_, "RunFolder: add_evaluation before begin");
  evaluations_->put(step_of(record), record.dump());
}

void RunFolder::add_timing(const Json& record) {
  if (is_others_) {
    return;
  }
  TORCH_CHECK_VALUE(timing_, "RunFolder: add_timing before begin");
  timing_->append(step_of(record), record.dump());
}

void RunFolder::add_scalar(const std::string& tag, double value, int64_t step) {
  if (is_others_) {
    return;
  }
  TORCH_CHECK_VALUE(events_, "RunFolder: add_scalar before begin");
  events_->add_scalar(tag, value, step);
}

void RunFolder::flush() {
  if (is_others_) {
    return;
  }
  TORCH_CHECK_VALUE(events_, "RunFolder: flush before begin");
  metrics_->sync();
  summary_->sync();
  evaluations_->sync();
  timing_->sync();
  events_->sync();
}

void RunFolder::save_checkpoint(int64_t step, bool is_best, int64_t hist,
                                const std::function<void(const fs::path&)>& write) {
  if (is_others_) {
    others_checkpoint_ = true;
    return;
  }
  make();
  const auto next = path_ / kNextCheckpoint;
  try {
    write(next);
    // last.h5 comes last: after a crash in between, the run continues from an older one and makes
    // the others again. If last.h5 came first, best.h5 would never be made.
    if (hist > 0) {
      share_file(next, checkpoint_of(step));
    }
    if (is_best) {
      share_file(next, best_checkpoint());
    }
    std::error_code error;
    fs::rename(next, last_checkpoint(), error);
    if (error) {
      throw_write_error(last_checkpoint(), error);
    }
  } catch (const InputError& error) {
    remove_quietly(next);
    if (!has_checkpoint()) {
      throw;
    }
    throw InputError(std::string(error.what()) + "; " + last_checkpoint().string() +
                     " stays as it was");
  } catch (...) {
    remove_quietly(next);
    throw;
  }
  prune_history(step, hist);
}

std::vector<int64_t> RunFolder::history() const {
  std::vector<int64_t> steps;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(path_, error)) {
    if (const auto step = history_step(entry.path().filename().string())) {
      steps.push_back(*step);
    }
  }
  std::sort(steps.rbegin(), steps.rend());
  return steps;
}

void RunFolder::prune_history(int64_t step, int64_t hist) const {
  int64_t kept = 0;
  for (const auto saved : history()) {
    if (saved <= step && ++kept > hist) {
      remove_quietly(checkpoint_of(saved));
    }
  }
}

}  // namespace softmoe
