#include "sweep/study_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/error.h"
#include "core/split_text.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;

std::string without_spaces(const std::string& text) { return trimmed(text, " \t\n"); }

std::vector<std::string> trimmed_parts(const std::string& text, char separator) {
  auto parts = split_text(text, separator);
  for (auto& part : parts) {
    part = without_spaces(part);
  }
  return parts;
}

/// The two parts of "name: rest".
std::pair<std::string, std::string> named(const std::string& text, const std::string& where) {
  const auto colon = text.find(':');
  if (colon == std::string::npos || without_spaces(text.substr(0, colon)).empty()) {
    throw UsageError(where, "\"name: ...\"", "'" + text + "'");
  }
  return {without_spaces(text.substr(0, colon)), without_spaces(text.substr(colon + 1))};
}

/// The two parts of "command; key=value; ..".
std::pair<std::string, Settings> command_of(const std::string& text, const std::string& where) {
  const auto end = text.find(';');
  const auto command = without_spaces(text.substr(0, end));
  if (command.empty() || command.find_first_of("= ") != std::string::npos) {
    throw UsageError(where, "\"command; key=value; ..\"", "'" + text + "'");
  }
  return {command,
          end == std::string::npos ? Settings{} : parse_settings(text.substr(end + 1), where)};
}

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

/// `settings` with {study} and {run} replaced by folders.
Settings filled(Settings settings, const fs::path& study, const fs::path& run) {
  for (auto& [key, value] : settings) {
    replace_all(value, "{study}", study.string());
    replace_all(value, "{run}", run.string());
  }
  return settings;
}

void put(Settings& settings, const std::string& key, const std::string& value) {
  std::erase_if(settings, [&key](const auto& setting) { return setting.first == key; });
  settings.emplace_back(key, value);
}

void put_all(Settings& settings, const Settings& more) {
  for (const auto& [key, value] : more) {
    put(settings, key, value);
  }
}

fs::path runs_folder(const StudyOptions& options) { return fs::path(options.output) / "runs"; }

StudyStep step_of(const std::string& command, const Settings& settings, const fs::path& json) {
  StudyStep step{.arguments = {command}, .json = json};
  const auto flags = to_arguments(settings);
  step.arguments.insert(step.arguments.end(), flags.begin(), flags.end());
  return step;
}

/// Fills in the steps of `cell` for its own settings.
void plan_steps(const StudyOptions& options, StudyCell& cell, Settings settings) {
  const auto runs = runs_folder(options);
  const auto run = runs / cell.name;
  put(settings, "seed", std::to_string(cell.seed));
  put(settings, "output", runs.string());
  put(settings, "experiment", cell.name);
  const auto json = [&](size_t step) {
    return fs::path(options.output) / "cells" / fmt::format("{}.{}.json", cell.name, step);
  };
  cell.steps = {step_of(options.command, filled(settings, options.output, run), json(0))};
  for (const auto& text : options.then) {
    const auto [command, more] = command_of(text, "then");
    cell.steps.push_back(
        step_of(command, filled(more, options.output, run), json(cell.steps.size())));
  }
}

/// `text` as the name of a file: unusual characters become '_'.
std::string file_name(std::string text) {
  for (char& letter : text) {
    const bool plain = std::isalnum(static_cast<unsigned char>(letter)) != 0 ||
                       std::string("._=+-").find(letter) != std::string::npos;
    letter = plain ? letter : '_';
  }
  return text;
}

std::string cell_name(const StudyCell& cell) {
  std::string name = cell.arm;
  for (const auto& [key, value] : cell.axis_values) {
    name += "-" + key + "=" + value;
  }
  name += fmt::format("-s{}", cell.seed);
  return file_name(cell.equal_time ? name + "-equal_time" : name);
}

/// The settings of the cell's arm and axes over those of all cells.
Settings settings_of(const StudyOptions& options, const StudyCell& cell) {
  Settings settings;
  for (const auto& text : options.set) {
    put_all(settings, parse_settings(text, "set"));
  }
  for (const auto& text : options.arms) {
    const auto [name, rest] = named(text, "arms");
    if (name == cell.arm) {
      put_all(settings, parse_settings(rest, "arms: " + name));
    }
  }
  put_all(settings, cell.axis_values);
  return settings;
}

using AxisValues = std::vector<std::pair<std::string, std::string>>;

/// Every combination of the axes' values.
std::vector<AxisValues> combinations(const StudyOptions& options) {
  std::vector<AxisValues> all{{}};
  for (const auto& text : options.axes) {
    const auto equals = text.find('=');
    if (equals == std::string::npos) {
      throw UsageError("axes", "\"key=value,value,..\"", "'" + text + "'");
    }
    std::vector<AxisValues> longer;
    for (const auto& before : all) {
      for (const auto& value : trimmed_parts(text.substr(equals + 1), ',')) {
        longer.push_back(before);
        longer.back().emplace_back(without_spaces(text.substr(0, equals)), value);
      }
    }
    all = std::move(longer);
  }
  return all;
}

}  // namespace

Settings parse_settings(const std::string& text, const std::string& where) {
  Settings settings;
  for (const auto& part : trimmed_parts(text, ';')) {
    if (part.empty()) {
      continue;
    }
    const auto equals = part.find('=');
    if (equals == std::string::npos || equals == 0) {
      throw UsageError(where, "key=value", "'" + part + "'");
    }
    put(settings, without_spaces(part.substr(0, equals)), without_spaces(part.substr(equals + 1)));
  }
  return settings;
}

std::vector<std::string> to_arguments(const Settings& settings) {
  std::vector<std::string> arguments;
  for (const auto& [key, value] : settings) {
    const auto items = trimmed_parts(value, ' ');
    if (items.size() <= 1) {
      arguments.push_back("--" + key + "=" + value);
      continue;
    }
    arguments.push_back("--" + key);
    arguments.insert(arguments.end(), items.begin(), items.end());
  }
  return arguments;
}

std::vector<StudyStep> prepare_steps(const StudyOptions& options) {
  std::vector<StudyStep> steps;
  for (const auto& text : options.prepare) {
    const auto [name, rest] = named(text, "prepare");
    auto [command, settings] = command_of(rest, "prepare: " + name);
    if (std::find(kCellCommands.begin(), kCellCommands.end(), command) != kCellCommands.end()) {
      put(settings, "output", runs_folder(options).string());
      put(settings, "experiment", file_name(name));
    }
    const auto json = fs::path(options.output) / "cells" / fmt::format("{}.json", file_name(name));
    steps.push_back(step_of(command, filled(settings, options.output, ""), json));
  }
  return steps;
}

std::vector<StudyCell> study_cells(const StudyOptions& options) {
  if (options.arms.empty()) {
    throw UsageError("arms", "at least one \"name: key=value; ..\"", "none");
  }
  std::vector<StudyCell> cells;
  std::set<std::string> names;
  for (const auto& arm : options.arms) {
    for (const auto& values : combinations(options)) {
      for (int64_t seed = 0; seed < options.seeds; ++seed) {
        StudyCell cell;
        cell.arm = named(arm, "arms").first;
        cell.axis_values = values;
        cell.seed = seed;
        cell.name = cell_name(cell);
        if (!names.insert(cell.name).second) {
          throw UsageError("arms: names must differ", "one of each", "'" + cell.name + "' twice");
        }
        plan_steps(options, cell, settings_of(options, cell));
        cells.push_back(std::move(cell));
      }
    }
  }
  return cells;
}

StudyCell equal_time_cell(const StudyOptions& options, const StudyCell& cell, double epochs) {
  auto again = cell;
  again.equal_time = true;
  again.name = cell_name(again);
  auto settings = settings_of(options, cell);
  put(settings, "epochs", fmt::format("{:.4g}", epochs));
  plan_steps(options, again, settings);
  return again;
}

std::vector<StudyMeasure> study_measures(const StudyOptions& options) {
  std::vector<StudyMeasure> measures;
  for (const auto& text : options.measures) {
    const auto [label, source] = named(text, "measures");
    const auto [step, pointer] = named(source, "measures: " + label);
    const bool is_number = step.find_first_not_of("0123456789") == std::string::npos;
    if (!is_number || step.size() > 2 || std::stoul(step) > options.then.size() ||
        !pointer.starts_with('/')) {
      throw UsageError(
          "measures: " + label,
          fmt::format("step:/json/pointer with a step from 0 to {}", options.then.size()),
          "'" + source + "'");
    }
    measures.push_back({.label = label, .step = std::stoul(step), .pointer = pointer});
  }
  return measures;
}

}  // namespace softmoe
