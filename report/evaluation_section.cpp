#include <fmt/format.h>

#include <algorithm>

#include "report/bar_chart.h"
#include "report/line_chart.h"
#include "report/number_text.h"
#include "report/sections.h"
#include "report/svg_parts.h"

namespace softmoe::report {
namespace {

constexpr size_t kShownClasses = 10;  // if there are more, the worst are shown
constexpr double kSureOfABin = 20.0;  // bins with fewer images have accuracies by chance

/// Accuracy by class, the worst first.
std::string class_chart(const EvalScore& score) {
  auto classes = score.class_accuracy;
  std::stable_sort(classes.begin(), classes.end(),
                   [](const auto& a, const auto& b) { return a.second < b.second; });
  classes.resize(std::min(classes.size(), kShownClasses));
  BarChart chart{
      .name = "accuracy by class", .title = "accuracy (%)", .bars = {}, .full_scale = 100.0};
  if (std::isfinite(score.mean_average_precision)) {
    chart.name = "average precision by class";
    chart.title = "average precision (%)";
  }
  for (const auto& [name, accuracy] : classes) {
    chart.bars.push_back({.label = name, .value = 100.0 * accuracy});
  }
  return bar_chart_svg(chart);
}

/// Accuracy over confidence: points of calibrated probabilities lie on the diagonal.
std::string calibration_chart(const EvalScore& score, SeriesColors& colors) {
  LineChart chart{.name = "calibration",
                  .x = {.title = "mean confidence (%)", .from_zero = true},
                  .y = {.title = "accuracy (%)", .from_zero = true},
                  .series = {},
                  .end_values = false};
  chart.series.push_back({.label = "calibrated",
                          .color = kNeutralColor,
                          .points = {{0.0, 0.0}, {100.0, 100.0}},
                          .markers = false,
                          .faint = true});
  Series series{.label = score.label, .color = colors.color_of(score.label), .points = {}};
  for (const auto& bin : score.calibration) {
    if (bin.examples >= kSureOfABin) {
      series.points.push_back({.x = 100.0 * bin.confidence, .y = 100.0 * bin.accuracy});
    }
  }
  if (series.points.empty()) {
    return "";
  }
  chart.series.push_back(std::move(series));
  return line_chart_svg(chart);
}

Table score_table(const std::vector<EvalScore>& scores) {
  Table table{.columns = {{"checkpoint"},
                          {"data"},
                          {"images", true},
                          {"top-1, %", true},
                          {"top-5, %", true},
                          {"loss", true},
                          {"calibration error, %", true}}};
  const bool has_precision = std::any_of(scores.begin(), scores.end(), [](const EvalScore& score) {
    return std::isfinite(score.mean_average_precision);
  });
  if (has_precision) {
    table.columns.push_back({"mAP, %", true});
  }
  for (const auto& score : scores) {
    table.rows.push_back(
        {.cells = {score.label, score.data_set, fixed_text(score.examples, 0),
                   percent_text(score.top1), percent_text(score.top5), short_text(score.loss),
                   percent_text(score.calibration_error)}});
    if (has_precision) {
      table.rows.back().cells.emplace_back(percent_text(score.mean_average_precision));
    }
  }
  return table;
}

}  // namespace

Section evaluation_section(const Results& results, SeriesColors& colors) {
  Section section("evaluation", "Evaluation", "Checkpoints on labelled sets.");
  section.add_table(score_table(results.evaluations));
  for (const auto& score : results.evaluations) {
    const auto classes = score.class_accuracy.size();
    section.add_figures(
        {{fmt::format("{}: {}", score.label,
                      classes > kShownClasses
                          ? fmt::format("the {} worst of {} classes", kShownClasses, classes)
                      : std::isfinite(score.mean_average_precision) ? "average precision by class"
                                                                    : "accuracy by class"),
          class_chart(score)},
         {score.label + ": calibration", calibration_chart(score, colors),
          "Accuracy of predictions of about equal confidence. Calibrated probabilities lie on "
          "the straight line."}});
  }
  return section;
}

}  // namespace softmoe::report
