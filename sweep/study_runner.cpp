#include "sweep/study_runner.h"

#include <fmt/format.h>

#include <deque>
#include <map>
#include <thread>

#include "core/error.h"
#include "core/interrupt_guard.h"
#include "core/log.h"
#include "core/progress.h"
#include "io/atomic_file.h"
#include "report/json_node.h"
#include "sweep/child_process.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;

/// What the child is called with: this program, the arguments of the step, its share of the cores,
/// its result file.
std::vector<std::string> argv_of(const StudyStep& step, int64_t threads) {
  std::vector<std::string> argv{kThisProgram};
  argv.insert(argv.end(), step.arguments.begin(), step.arguments.end());
  argv.push_back(fmt::format("--threads={}", threads));
  argv.push_back("--json=" + step.json.string());
  return argv;
}

/// Returns true if the result of the step exists; throws UsageError if it has other settings.
bool is_done(const StudyStep& step) {
  if (!fs::exists(step.json)) {
    return false;
  }
  const auto document = report::read_json_file(step.json);
  auto before = document.at("arguments").get<std::vector<std::string>>();
  // The number of threads that computed it is no setting.
  std::erase_if(before,
                [](const std::string& argument) { return argument.starts_with("--threads="); });
  auto now = std::vector<std::string>(step.arguments.begin() + 1, step.arguments.end());
  now.push_back("--json=" + step.json.string());
  if (before != now) {
    throw UsageError(step.json.string() +
                     ": made with other settings; choose another --output or remove it");
  }
  return true;
}

/// Runs lists of steps, several lists at a time.
class ProcessPool {
 public:
  ProcessPool(std::string label, fs::path logs, int64_t jobs)
      : label_(std::move(label)), logs_(std::move(logs)), jobs_(static_cast<size_t>(jobs)) {
    const auto cores = std::max<int64_t>(1, std::thread::hardware_concurrency());
    threads_ = std::max<int64_t>(1, cores / jobs);
  }

  void add(const std::string& name, const std::vector<StudyStep>& steps) {
    Work work{.name = name, .steps = {}};
    for (const auto& step : steps) {
      if (!is_done(step)) {
        work.steps.push_back(step);
      }
    }
    if (!work.steps.empty()) {
      waiting_.push_back(std::move(work));
    }
  }

  /// Runs all work that was added; returns the names of what failed.
  std::vector<std::string> run() {
    const InterruptGuard interrupt;
    if (waiting_.empty()) {
      return {};
    }
    Progress progress(label_, static_cast<int64_t>(waiting_.size()), "runs");
    int64_t ended = 0;
    while (!waiting_.empty() || !running_.empty()) {
      stop_if_asked();
      while (running_.size() < jobs_ && !waiting_.empty()) {
        start(std::move(waiting_.front()));
        waiting_.pop_front();
      }
      const auto exit = wait_for_child(interrupt_requested);
      const auto found = running_.find(exit.id);
      if (found != running_.end()) {
        ended += finish(found, exit.code) ? 1 : 0;
        progress.update(ended);
      }
    }
    progress.finish();
    return failed_;
  }

 private:
  struct Work {
    std::string name;
    std::deque<StudyStep> steps;
  };
  struct Running {
    Work work;
    ChildProcess process;
  };

  fs::path log_of(const Work& work) const { return logs_ / (work.name + ".log"); }

  void start(Work work) {
    const auto& step = work.steps.front();
    fs::create_directories(step.json.parent_path());
    ChildProcess process(argv_of(step, threads_), log_of(work));
    running_.emplace(process.id(), Running{.work = std::move(work), .process = process});
  }

  /// Goes on to the next step of the work. Returns true if the work is over.
  bool finish(std::map<pid_t, Running>::iterator ended, int code) {
    auto work = std::move(ended->second.work);
    running_.erase(ended);
    if (code != 0) {
      log_line(fmt::format("{} failed ({}): {}", work.name, code, last_line(log_of(work))));
      failed_.push_back(work.name);
      return true;
    }
    work.steps.pop_front();
    if (work.steps.empty()) {
      return true;
    }
    start(std::move(work));
    return false;
  }

  void stop_if_asked() {
    if (!interrupt_requested()) {
      return;
    }
    for (const auto& [id, running] : running_) {
      running.process.interrupt();
    }
    while (!running_.empty()) {
      running_.erase(wait_for_child().id);
    }
    throw Interrupted("interrupted; the same command started again goes on from there");
  }

  std::string label_;
  fs::path logs_;
  size_t jobs_;
  int64_t threads_ = 1;
  std::deque<Work> waiting_;
  std::map<pid_t, Running> running_;
  std::vector<std::string> failed_;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

/// Arm and axis values of a cell, which its seeds have in common.
std::string group_of(const StudyCell& cell) {
  std::string group = cell.arm;
  for (const auto& [key, value] : cell.axis_values) {
    group += "\n" + key + "=" + value;
  }
  return group;
}

/// By name of a cell, the epochs that take as long as the training of the arm `equal_time`. Cells
/// of that arm and those that failed are left out.
Json equal_time_epochs(const StudyOptions& options, const std::vector<StudyCell>& cells) {
  std::map<std::string, std::vector<double>> seconds;
  std::map<std::string, std::vector<double>> reference;
  std::map<std::string, double> epochs;
  const auto axes_of = [](const StudyCell& cell) { return group_of(cell).substr(cell.arm.size()); };
  for (const auto& cell : cells) {
    const auto& json = cell.steps.front().json;
    if (!fs::exists(json)) {
      continue;
    }
    const auto document = report::read_json_file(json);
    const report::JsonNode node(document, json.string());
    const double time = node.at("result").at("train_seconds").number();
    seconds[group_of(cell)].push_back(time);
    epochs[group_of(cell)] = node.at("options").at("epochs").number();
    if (cell.arm == options.equal_time) {
      reference[axes_of(cell)].push_back(time);
    }
  }
  if (reference.empty()) {
    throw UsageError("equal-time", "the name of an arm that ran", "'" + options.equal_time + "'");
  }
  Json plan = Json::object();
  for (const auto& cell : cells) {
    const auto group = group_of(cell);
    if (cell.arm != options.equal_time && seconds.contains(group)) {
      const double share = median(reference.at(axes_of(cell))) / median(seconds.at(group));
      plan[cell.name] = epochs.at(group) * share;
    }
  }
  return plan;
}

/// The cells of the second round. It is planned only once, so that a study that resumes does not
/// change it.
std::vector<StudyCell> equal_time_cells(const StudyOptions& options,
                                        const std::vector<StudyCell>& cells) {
  const auto path = fs::path(options.output) / "equal_time.json";
  if (!fs::exists(path)) {
    write_text_file(path, equal_time_epochs(options, cells).dump(2) + "\n");
  }
  const auto plan = report::read_json_file(path);
  std::vector<StudyCell> again;
  for (const auto& cell : cells) {
    if (plan.contains(cell.name)) {
      again.push_back(equal_time_cell(options, cell, plan.at(cell.name).get<double>()));
    }
  }
  return again;
}

}  // namespace

StudyRun run_study(const StudyOptions& options) {
  const auto logs = fs::path(options.output) / "logs";
  StudyRun study{.cells = study_cells(options), .failed = {}};
  for (const auto& step : prepare_steps(options)) {
    ProcessPool pool("Preparing", logs, /*jobs=*/1);
    pool.add(step.json.stem().string(), {step});
    if (!pool.run().empty()) {
      throw InputError("the study cannot start: " + step.json.stem().string() + " failed");
    }
  }
  const auto run_all = [&](const std::string& label, const std::vector<StudyCell>& cells) {
    ProcessPool pool(label, logs, options.jobs);
    for (const auto& cell : cells) {
      pool.add(cell.name, cell.steps);
    }
    const auto failed = pool.run();
    study.failed.insert(study.failed.end(), failed.begin(), failed.end());
  };
  run_all("Cells", study.cells);
  if (!options.equal_time.empty()) {
    const auto again = equal_time_cells(options, study.cells);
    run_all("Equal time", again);
    study.cells.insert(study.cells.end(), again.begin(), again.end());
  }
  return study;
}

}  // namespace softmoe
