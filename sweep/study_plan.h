#pragma once
/// The commands that a study runs, from its options.

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sweep/study_options.h"

namespace softmoe {

/// One command of the program, and where its result goes.
struct StudyStep {
  std::vector<std::string> arguments;  ///< the command first, without --json
  std::filesystem::path json;
};

/// One run of the grid with the commands that follow it.
struct StudyCell {
  std::string name;
  std::string arm;
  std::vector<std::pair<std::string, std::string>> axis_values;  ///< key and value
  int64_t seed = 0;
  bool equal_time = false;
  std::vector<StudyStep> steps;
};

/// A number that is read from the result of a step.
struct StudyMeasure {
  std::string label;
  size_t step = 0;
  std::string pointer;

  bool is_percentage() const { return label.ends_with('%'); }
};

/// Settings in the order in which they were given; a later one replaces an earlier one.
using Settings = std::vector<std::pair<std::string, std::string>>;

/// "key=value; key=value"; throws UsageError naming `where`.
Settings parse_settings(const std::string& text, const std::string& where);
/// The flags of settings: "--key=value", or "--key item item".
std::vector<std::string> to_arguments(const Settings& settings);

/// The commands that run before all cells. Throws UsageError if a text cannot be parsed.
std::vector<StudyStep> prepare_steps(const StudyOptions& options);
/// All cells of the first round.
std::vector<StudyCell> study_cells(const StudyOptions& options);
/// `cell` with another number of epochs, as a cell of the second round.
StudyCell equal_time_cell(const StudyOptions& options, const StudyCell& cell, double epochs);
std::vector<StudyMeasure> study_measures(const StudyOptions& options);

}  // namespace softmoe
