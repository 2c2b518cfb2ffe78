#pragma once
/// The parts of a report.

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "report/html_page.h"
#include "report/results.h"

namespace softmoe::report {

/// Gives each label one colour for all plots.
class SeriesColors {
 public:
  /// The colour of `label`; a label seen for the first time gets the next one.
  int color_of(const std::string& label);
  /// The colour of `label`, or nullopt if it has none yet.
  std::optional<int> known_color(const std::string& label) const;

 private:
  std::map<std::string, int> colors_;
};

/// The distinct labels with their colours, in the order of `labels`.
std::vector<std::pair<std::string, int>> legend_of(const std::vector<std::string>& labels,
                                                   SeriesColors& colors);

/// The runs on one data set. The group counts as fine-tuning if one of its runs does.
struct RunGroup {
  std::string data_set;
  bool finetuned = false;
  std::vector<TrainingRun> runs;
};
std::vector<RunGroup> run_groups(const std::vector<TrainingRun>& runs);

/// The curves on one data set.
struct FewShotGroup {
  std::string data_set;
  std::vector<int64_t> shots;  ///< of all curves, ascending
  std::vector<FewShotCurve> curves;

  /// The point of curve `index` at `number_of_shots`, or nullptr.
  const FewShotPoint* find(size_t index, int64_t number_of_shots) const;
};
std::vector<FewShotGroup> few_shot_groups(const std::vector<FewShotCurve>& curves);

/// Measurements under equal conditions.
struct ThroughputGroup {
  std::string title;  ///< "inference, batch 8, bfloat16"
  std::vector<ThroughputResult> records;
};
std::vector<ThroughputGroup> throughput_groups(const std::vector<ThroughputResult>& records);

/// The numbers at the top of the page.
std::vector<Headline> headlines(const Results& results);
/// The tables of the summary, also for the terminal.
std::vector<Table> summary_tables(const Results& results);

/// The sections of the page; a section without results is empty.
Section summary_section(const Results& results);
Section training_section(const Results& results, bool finetuned, SeriesColors& colors);
Section few_shot_section(const Results& results, SeriesColors& colors);
/// Bars have the colours that their models have in other sections.
Section throughput_section(const Results& results, const SeriesColors& colors);
Section evaluation_section(const Results& results, SeriesColors& colors);
Section dispatch_section(const Results& results);
Section prediction_section(const Results& results);
Section provenance_section(const Results& results);

}  // namespace softmoe::report
