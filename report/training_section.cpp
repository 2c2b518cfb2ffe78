#include <fmt/format.h>

#include <algorithm>

#include "core/text_format.h"
#include "report/curves.h"
#include "report/groups.h"
#include "report/line_chart.h"
#include "report/number_text.h"
#include "report/sections.h"

namespace softmoe::report {
namespace {

constexpr size_t kDrawnPoints = 300;       // more points than a chart has pixels for
constexpr size_t kMarkedPoints = 25;       // more markers would overlap
constexpr double kLogarithmicFrom = 12.0;  // ratio of largest to smallest loss

/// The unit of a time axis.
struct TimeUnit {
  double seconds;
  const char* name;
};

TimeUnit time_unit(const RunGroup& group) {
  double longest = 0.0;
  for (const auto& run : group.runs) {
    for (const auto* curve : {&run.train_loss, &run.eval_top1}) {
      for (const auto& point : *curve) {
        longest = std::isfinite(point.seconds) ? std::max(longest, point.seconds) : longest;
      }
    }
  }
  return longest <= 240.0      ? TimeUnit{1.0, "s"}
         : longest <= 3 * 3600 ? TimeUnit{60.0, "min"}
                               : TimeUnit{3600.0, "h"};
}

/// The quantity on the x axis.
struct Abscissa {
  double CurvePoint::*place;
  double unit;
  std::string title;
};

Series series_of(const Curve& curve, const Abscissa& x, double factor, const std::string& label,
                 int color) {
  Series series{.label = label, .color = color, .points = {}};
  for (const auto& point : curve) {
    series.points.push_back({.x = point.*x.place / x.unit, .y = factor * point.value});
  }
  series.markers = series.points.size() <= kMarkedPoints;
  return series;
}

/// The number of decimals that shows two digits of the smallest value at the end of a line.
int loss_decimals(const std::vector<Series>& series) {
  double smallest = 10.0;
  for (const auto& one : series) {
    for (const auto& point : one.points) {
      smallest = point.y > 0.0 ? std::min(smallest, point.y) : smallest;
    }
  }
  return std::clamp(2 - static_cast<int>(std::floor(std::log10(smallest))), 1, 4);
}

bool spans_decades(const std::vector<Series>& series) {
  double smallest = std::numeric_limits<double>::infinity();
  double largest = 0.0;
  for (const auto& one : series) {
    for (const auto& point : one.points) {
      if (std::isfinite(point.y)) {
        smallest = std::min(smallest, point.y);
        largest = std::max(largest, point.y);
      }
    }
  }
  return smallest > 0.0 && largest > kLogarithmicFrom * smallest;
}

std::string loss_chart(const RunGroup& group, const Abscissa& x, SeriesColors& colors) {
  LineChart chart{
      .name = "training loss", .x = {.title = x.title, .from_zero = true}, .y = {}, .series = {}};
  for (const auto& run : group.runs) {
    const auto raw = thinned(without_short_end(run.train_loss), kDrawnPoints);
    const size_t reach = raw.size() / 40;
    const int color = colors.color_of(run.label);
    if (reach > 0) {
      auto background = series_of(raw, x, 1.0, run.label, color);
      background.faint = true;
      chart.series.push_back(std::move(background));
    }
    chart.series.push_back(series_of(smoothed(raw, reach), x, 1.0, run.label, color));
  }
  chart.y.logarithmic = spans_decades(chart.series);
  chart.y.title = chart.y.logarithmic ? "training loss, log scale" : "training loss";
  chart.value_decimals = loss_decimals(chart.series);
  return line_chart_svg(chart);
}

std::string accuracy_chart(const RunGroup& group, const Abscissa& x, SeriesColors& colors) {
  LineChart chart{.name = "validation accuracy",
                  .x = {.title = x.title, .from_zero = true},
                  .y = {.title = "validation top-1 accuracy (%)"},
                  .series = {}};
  for (const auto& run : group.runs) {
    chart.series.push_back(
        series_of(run.eval_top1, x, 100.0, run.label, colors.color_of(run.label)));
  }
  return line_chart_svg(chart);
}

/// The largest finite value; kMissing if fewer than two are finite.
double best_of(const std::vector<double>& values) {
  double best = kMissing;
  for (const double value : values) {
    best = std::fmax(best, value);
  }
  return values.size() < 2 ? kMissing : best;
}

/// The accuracies that a table compares, with one entry per run in each.
struct ComparedColumn {
  std::string name;
  std::vector<double> accuracies;
};

std::vector<ComparedColumn> compared_columns(const RunGroup& group) {
  const double steps = common_end(group.runs, &CurvePoint::step);
  const double seconds = common_end(group.runs, &CurvePoint::seconds);
  std::vector<ComparedColumn> columns{
      {fmt::format("top-1 at {} steps, %", fixed_text(steps, 0)), {}},
      {fmt::format("top-1 at {}, %", duration_text(seconds)), {}},
      {"top-1 at the end, %", {}}};
  for (const auto& run : group.runs) {
    columns[0].accuracies.push_back(value_at(run.eval_top1, &CurvePoint::step, steps));
    columns[1].accuracies.push_back(value_at(run.eval_top1, &CurvePoint::seconds, seconds));
    columns[2].accuracies.push_back(last_value(run.eval_top1));
  }
  return columns;
}

Table comparison_table(const RunGroup& group, SeriesColors& colors) {
  const auto compared = compared_columns(group);
  const bool has_cost = std::any_of(group.runs.begin(), group.runs.end(),
                                    [](const auto& run) { return std::isfinite(run.gflop); });
  Table table{.columns = {{"run"}, {"model"}}};
  if (has_cost) {
    table.columns.insert(table.columns.end(), {{"parameters", true}, {"GFLOP/img", true}});
  }
  table.columns.insert(table.columns.end(),
                       {{"steps", true}, {"training time", true}, {"img/s", true}});
  for (const auto& column : compared) {
    table.columns.push_back({column.name, true});
  }
  for (size_t i = 0; i < group.runs.size(); ++i) {
    const auto& run = group.runs[i];
    Row row{.cells = {run.label, run.model}, .color = colors.color_of(run.label)};
    if (has_cost) {
      row.cells.insert(row.cells.end(), {format_count(run.parameters), short_text(run.gflop)});
    }
    row.cells.insert(row.cells.end(), {fixed_text(run.steps, 0), duration_text(run.seconds),
                                       short_text(run.images_per_second)});
    for (const auto& [name, accuracies] : compared) {
      row.cells.emplace_back(percent_text(accuracies[i]), accuracies[i] == best_of(accuracies));
    }
    table.rows.push_back(std::move(row));
  }
  table.note =
      "Accuracies between two evaluations are interpolated linearly. Times are those of training, "
      "without evaluations.";
  return table;
}

void add_group(Section& section, const RunGroup& group, SeriesColors& colors) {
  const auto unit = time_unit(group);
  const Abscissa by_steps{&CurvePoint::step, 1.0, "training steps"};
  const Abscissa by_time{&CurvePoint::seconds, unit.seconds,
                         fmt::format("training time ({})", unit.name)};
  std::vector<std::string> labels;
  for (const auto& run : group.runs) {
    labels.push_back(run.label);
  }
  section.add_heading(group.data_set.empty() ? "Runs" : "On " + group.data_set);
  section.add_legend(legend_of(labels, colors));
  section.add_figures({{"Accuracy by steps", accuracy_chart(group, by_steps, colors), ""},
                       {"Accuracy by time", accuracy_chart(group, by_time, colors), ""},
                       {"Loss by steps", loss_chart(group, by_steps, colors), ""},
                       {"Loss by time", loss_chart(group, by_time, colors), ""}});
  section.add_table(comparison_table(group, colors));
}

}  // namespace

Section training_section(const Results& results, bool finetuned, SeriesColors& colors) {
  Section section =
      finetuned
          ? Section("finetuning", "Fine-tuning",
                    "Models that start from a checkpoint, compared with others on the same data.")
          : Section("training", "Training",
                    "Models trained from scratch, compared at equal steps and at equal time.");
  for (const auto& group : run_groups(results.runs)) {
    if (group.finetuned == finetuned) {
      add_group(section, group, colors);
    }
  }
  return section;
}

}  // namespace softmoe::report
