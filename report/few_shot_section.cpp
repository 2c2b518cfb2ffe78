#include <fmt/format.h>

#include "core/text_format.h"
#include "report/groups.h"
#include "report/line_chart.h"
#include "report/number_text.h"
#include "report/sections.h"

namespace softmoe::report {
namespace {

std::string accuracy_chart(const FewShotGroup& group, SeriesColors& colors) {
  LineChart chart{
      .name = "few-shot accuracy on " + group.data_set,
      .x = {.title = "training images per class, log scale", .logarithmic = true, .margin = 0.03},
      .y = {.title = "test accuracy (%)"},
      .series = {}};
  for (const auto shots : group.shots) {
    chart.x.ticks.push_back(static_cast<double>(shots));
  }
  for (const auto& curve : group.curves) {
    Series series{.label = curve.label, .color = colors.color_of(curve.label), .points = {}};
    for (const auto& point : curve.points) {
      series.points.push_back({.x = static_cast<double>(point.shots),
                               .y = 100.0 * point.accuracy,
                               .low = 100.0 * (point.accuracy - point.deviation),
                               .high = 100.0 * (point.accuracy + point.deviation)});
    }
    chart.series.push_back(std::move(series));
  }
  return line_chart_svg(chart);
}

std::string score_text(const FewShotPoint& point) {
  return percent_text(point.accuracy) +
         (std::isfinite(point.deviation) ? " \u00b1 " + percent_text(point.deviation) : "");
}

double best_accuracy(const FewShotGroup& group, int64_t shots) {
  double best = kMissing;
  for (size_t i = 0; i < group.curves.size(); ++i) {
    const auto* point = group.find(i, shots);
    best = point == nullptr ? best : std::fmax(best, point->accuracy);
  }
  return group.curves.size() < 2 ? kMissing : best;
}

Table score_table(const FewShotGroup& group, SeriesColors& colors) {
  Table table{.title = group.data_set, .columns = {{"features"}}};
  bool selected = false;
  for (const auto shots : group.shots) {
    table.columns.push_back({fmt::format("{} shot{}", shots, shots == 1 ? "" : "s"), true});
  }
  for (size_t i = 0; i < group.curves.size(); ++i) {
    const auto& curve = group.curves[i];
    Row row{.cells = {curve.label}, .color = colors.color_of(curve.label)};
    for (const auto shots : group.shots) {
      const auto* point = group.find(i, shots);
      row.cells.emplace_back(point == nullptr ? kNoValue : score_text(*point),
                             point != nullptr && point->accuracy == best_accuracy(group, shots));
    }
    table.rows.push_back(std::move(row));
    selected = selected || curve.lambda_selected_on_test;
  }
  table.note = selected ? "The ridge penalty was selected on the test set." : "";
  return table;
}

}  // namespace

Section few_shot_section(const Results& results, SeriesColors& colors) {
  Section section(
      "fewshot", "Few-shot probes",
      "A ridge probe in closed form on frozen features, trained with a few images of "
      "each class. Accuracy in %; bands, whiskers and \u00b1: one standard deviation over "
      "the draws of training images.");
  const auto groups = few_shot_groups(results.few_shot);
  std::vector<std::string> labels;
  std::vector<Section::Figure> figures;
  for (const auto& group : groups) {
    for (const auto& curve : group.curves) {
      labels.push_back(curve.label);
    }
    figures.push_back({group.data_set, accuracy_chart(group, colors), ""});
  }
  section.add_legend(legend_of(labels, colors));
  section.add_figures(figures);
  std::vector<Table> tables;
  for (const auto& group : groups) {
    tables.push_back(score_table(group, colors));
  }
  section.add_tables(tables);
  return section;
}

}  // namespace softmoe::report
