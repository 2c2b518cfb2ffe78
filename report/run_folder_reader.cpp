#include "report/run_folder_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <tuple>

#include "core/error.h"
#include "core/split_text.h"
#include "core/toml.h"
#include "io/atomic_file.h"
#include "report/json_node.h"
#include "report/result_json.h"

namespace softmoe::report {
namespace {

namespace fs = std::filesystem;

/// Known pairs of step and training seconds.
using Clock = std::map<double, double>;

/// The options of config.toml by their names.
Json read_config(const fs::path& path) {
  Json config = Json::object();
  for (auto& entry : parse_toml(read_text_file(path), path.string())) {
    config[entry.name] = std::move(entry.value);
  }
  return config;
}

/// The objects of a file with one JSON object per line.
void for_each_record(const fs::path& path, const std::function<void(const JsonNode&)>& use) {
  int64_t number = 0;
  for (const auto& line : split_text(read_text_file(path), '\n')) {
    ++number;
    const auto where = fmt::format("{}: line {}", path.string(), number);
    const auto json = parse_json(line, where);
    use(JsonNode(json, where));
  }
}

/// The columns of summary.csv.
class Summary {
 public:
  explicit Summary(const fs::path& path) : path_(path) {
    const auto lines = split_text(read_text_file(path), '\n');
    header_ = lines.empty() ? std::vector<std::string>{} : split_text(lines.front(), ',');
    for (size_t i = 1; i < lines.size(); ++i) {
      rows_.push_back(split_text(lines[i], ','));
      if (rows_.back().size() != header_.size()) {
        throw InputError(fmt::format("{}: line {}", path.string(), i + 1),
                         fmt::format("{} columns as in the header", header_.size()),
                         std::to_string(rows_.back().size()));
      }
    }
  }

  size_t size() const { return rows_.size(); }

  /// The value of column `name`; an empty cell is kMissing.
  double value(size_t row, const std::string& name) const {
    const auto column = std::find(header_.begin(), header_.end(), name);
    if (column == header_.end()) {
      throw InputError(path_.string(), "a column '" + name + "'", "none");
    }
    const auto& cell = rows_.at(row).at(static_cast<size_t>(column - header_.begin()));
    char* end = nullptr;
    const double number = std::strtod(cell.c_str(), &end);
    if (*end != '\0') {
      throw InputError(fmt::format("{}: line {}: {}", path_.string(), row + 2, name), "a number",
                       "'" + cell + "'");
    }
    return cell.empty() ? kMissing : number;
  }

 private:
  fs::path path_;
  std::vector<std::string> header_;
  std::vector<std::vector<std::string>> rows_;
};

/// Seconds at `step`, interpolated linearly between known steps.
double seconds_at(const Clock& clock, double step) {
  const auto after = clock.lower_bound(step);
  if (after == clock.end()) {
    return kMissing;
  }
  if (after->first == step) {
    return after->second;
  }
  double step_before = 0.0;
  double seconds_before = 0.0;
  if (after != clock.begin()) {
    std::tie(step_before, seconds_before) = *std::prev(after);
  }
  return seconds_before +
         (after->second - seconds_before) * (step - step_before) / (after->first - step_before);
}

Clock read_clock(const fs::path& folder) {
  Clock clock;
  if (fs::exists(folder / "timing.jsonl")) {
    for_each_record(folder / "timing.jsonl", [&](const JsonNode& record) {
      const double seconds = record.number_or("train_seconds", kMissing);
      if (std::isfinite(seconds)) {
        clock[record.at("step").number()] = seconds;
      }
    });
  }
  return clock;
}

void read_curves(const fs::path& folder, const Clock& clock, TrainingRun& run) {
  if (fs::exists(folder / "metrics.jsonl")) {
    for_each_record(folder / "metrics.jsonl", [&](const JsonNode& record) {
      const double step = record.at("step").number();
      if (const auto loss = record.find("train_loss")) {
        run.train_loss.push_back(
            {.step = step, .seconds = seconds_at(clock, step), .value = loss->number()});
      }
    });
  }
  const Summary summary(folder / "summary.csv");
  for (size_t row = 0; row < summary.size(); ++row) {
    const double step = summary.value(row, "step");
    const double seconds = seconds_at(clock, step);
    run.eval_loss.push_back(
        {.step = step, .seconds = seconds, .value = summary.value(row, "eval_loss")});
    run.eval_top1.push_back(
        {.step = step, .seconds = seconds, .value = summary.value(row, "eval_top1")});
  }
}

double number_option(const Json& config, const std::string& name) {
  return config.contains(name) && config.at(name).is_number() ? config.at(name).get<double>()
                                                              : kMissing;
}

/// Steps, seconds and images per second over the whole run.
void set_totals(const Json& config, const Clock& clock, TrainingRun& run) {
  for (const auto* curve : {&run.train_loss, &run.eval_top1}) {
    for (const auto& point : *curve) {
      run.steps = std::fmax(run.steps, point.step);
    }
  }
  run.seconds = clock.empty() ? kMissing : clock.rbegin()->second;
  const double batch =
      number_option(config, "batch-size") * number_option(config, "grad-accum-steps");
  run.images_per_second = run.seconds > 0.0 ? run.steps * batch / run.seconds : kMissing;
}

}  // namespace

std::string model_text(const std::string& name, const Json& options) {
  const auto blocks = option_text(options, "moe-blocks");
  const double experts = number_option(options, "experts");
  if (blocks.empty() || !std::isfinite(experts) || name.starts_with("softmoe_")) {
    return name;
  }
  return fmt::format("{} with {:g} experts ({}, {})", name, experts, option_text(options, "router"),
                     blocks);
}

TrainingRun read_training_run(const std::string& folder, const std::string& label) {
  const fs::path path = folder;
  if (!fs::exists(path / "config.toml")) {
    throw InputError(folder, "a run folder with config.toml and summary.csv", "no config.toml");
  }
  const auto config = read_config(path / "config.toml");
  const auto clock = read_clock(path);
  const auto checkpoint = option_text(config, "checkpoint");
  TrainingRun run{.label = label, .model = model_text(option_text(config, "model"), config)};
  if (run.label.empty()) {
    run.label = fs::weakly_canonical(path).filename().string();
  }
  run.data_set = data_set_name(config);
  run.finetuned = !checkpoint.empty();
  if (run.finetuned) {
    const auto source = fs::path(checkpoint);
    run.model = "from " + (source.parent_path().filename() / source.filename()).string();
  }
  read_curves(path, clock, run);
  set_totals(config, clock, run);
  return run;
}

void read_run_folder(const std::string& folder, const std::string& label, Results& results) {
  auto run = read_training_run(folder, label);
  results.provenance.push_back({.label = run.label,
                                .path = folder,
                                .command = run.finetuned ? "finetune" : "train",
                                .options = read_config(fs::path(folder) / "config.toml")});
  results.runs.push_back(std::move(run));
}

}  // namespace softmoe::report
