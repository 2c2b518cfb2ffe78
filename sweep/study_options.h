#pragma once
/// What a study runs and what it measures: the options of `softmoe sweep`.

#include <cstdint>
#include <string>
#include <vector>

#include "core/options.h"

namespace softmoe {

/// Commands that cells may have: those that train, in a run folder.
inline const std::vector<std::string> kCellCommands{"train", "finetune", "distill", "tune"};

/// A grid of runs: every arm, with every combination of the axes' values, with every seed.
/// Settings are "key=value" with the names of the commands' flags, separated by ";"; the items of
/// one value are separated by spaces. {study} stands for the folder of the study, {run} for the run
/// folder of a cell.
struct StudyOptions {
  std::string title;
  std::string command = "train";     ///< of every cell, one of kCellCommands
  std::vector<std::string> prepare;  ///< "name: command; settings", run once before all cells
  std::vector<std::string> set;      ///< settings of every cell
  std::vector<std::string> arms;     ///< "name: settings"
  std::vector<std::string> axes;     ///< "key=value,value,.."
  std::vector<std::string> then;     ///< "command; settings", run after each cell
  /// "label: step:/json/pointer": step 0 is the cell's command, 1, 2, ... are those of `then`. If
  /// the label ends with "%", shares are shown as percentages.
  std::vector<std::string> measures{"top-1 %: 0:/result/last/top1"};
  int64_t seeds = 3;       ///< runs of each combination
  std::string equal_time;  ///< the arm whose training time all others have in a second round
  std::string plot_axis;   ///< the axis on the plot's x; empty: bars of all combinations
  std::string output = "studies";
  int64_t jobs = 1;  ///< max processes at once; each uses its share of the cores

  bool operator==(const StudyOptions&) const = default;
};

void describe(OptionTable& table, StudyOptions& options);

}  // namespace softmoe
