#pragma once
/// The results of a study: means and deviations over its seeds as table, plot and files.

#include <string>
#include <vector>

#include "report/table.h"
#include "sweep/study_plan.h"

namespace softmoe {

/// One measure of one combination.
struct StudyValue {
  double mean = 0.0;       ///< NaN if no seed has a value
  double deviation = 0.0;  ///< of the sample, NaN with fewer than two values
  int64_t count = 0;       ///< seeds that have a value
};

/// One arm with one combination of the axes' values.
struct StudyRow {
  std::string arm;
  std::vector<std::pair<std::string, std::string>> axis_values;
  bool equal_time = false;
  std::vector<StudyValue> values;  ///< one per measure

  /// "arm, key value, equal time"
  std::string label() const;
};

/// Reads the results of all cells. A cell without a result, or without the number that a measure
/// reads, adds nothing.
std::vector<StudyRow> study_rows(const StudyOptions& options, const std::vector<StudyCell>& cells);

/// One row per combination, one column per measure, "mean ± deviation".
report::Table study_table(const StudyOptions& options, const std::vector<StudyRow>& rows);
/// `table` in Markdown.
std::string study_markdown(const report::Table& table);
/// The first measure as an SVG file: lines over the plot axis, or bars.
std::string study_plot_svg(const StudyOptions& options, const std::vector<StudyRow>& rows);
Json study_json(const StudyOptions& options, const std::vector<StudyRow>& rows);

/// Writes table.md, plot.svg and results.json into the folder of the study.
void write_study(const StudyOptions& options, const std::vector<StudyRow>& rows);

}  // namespace softmoe
