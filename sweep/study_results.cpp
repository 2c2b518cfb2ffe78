#include "sweep/study_results.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <map>

#include "core/text_format.h"
#include "io/atomic_file.h"
#include "report/bar_chart.h"
#include "report/json_node.h"
#include "report/line_chart.h"
#include "report/number_text.h"
#include "report/page_style.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

StudyValue summarise(const std::vector<double>& values) {
  StudyValue result{
      .mean = kMissing, .deviation = kMissing, .count = static_cast<int64_t>(values.size())};
  const auto count = static_cast<double>(values.size());
  if (values.empty()) {
    return result;
  }
  double sum = 0.0;
  for (const double value : values) {
    sum += value;
  }
  result.mean = sum / count;
  if (values.size() > 1) {
    double squares = 0.0;
    for (const double value : values) {
      squares += (value - result.mean) * (value - result.mean);
    }
    result.deviation = std::sqrt(squares / (count - 1.0));
  }
  return result;
}

/// The number that a measure reads of a cell, NaN if there is none.
double measured(const StudyCell& cell, const StudyMeasure& measure) {
  const auto& path = cell.steps.at(measure.step).json;
  if (!fs::exists(path)) {
    return kMissing;
  }
  const auto document = report::read_json_file(path);
  const Json::json_pointer pointer(measure.pointer);
  if (!document.contains(pointer) || !document.at(pointer).is_number()) {
    return kMissing;
  }
  return document.at(pointer).get<double>() * (measure.is_percentage() ? 100.0 : 1.0);
}

std::string value_text(const StudyValue& value) {
  if (!std::isfinite(value.mean)) {
    return kNoValue;
  }
  const double size = std::abs(value.mean);
  const int decimals = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 4;
  const auto mean = report::fixed_text(value.mean, decimals);
  return std::isfinite(value.deviation)
             ? mean + " \u00b1 " + report::fixed_text(value.deviation, decimals)
             : mean;
}

/// A drawing as on a report's page, as a separate file.
std::string standalone_svg(std::string svg) {
  const auto end = svg.find('>');
  if (end == std::string::npos) {
    return svg;
  }
  svg.insert(end + 1, "<style>" + report::page_style() + "</style>");
  if (svg.find("xmlns=") > end) {
    svg.insert(4, " xmlns=\"http://www.w3.org/2000/svg\"");
  }
  return svg;
}

report::Point point_of(double x, const StudyValue& value) {
  return {.x = x,
          .y = value.mean,
          .low = value.mean - value.deviation,
          .high = value.mean + value.deviation};
}

/// The label of `row` without the value of `axis`, which the points of one line have in common.
std::string line_label(StudyRow row, const std::string& axis) {
  std::erase_if(row.axis_values, [&axis](const auto& entry) { return entry.first == axis; });
  return row.label();
}

std::string line_plot(const StudyOptions& options, const std::vector<StudyRow>& rows,
                      const std::string& measure) {
  report::LineChart chart;
  chart.name = options.title;
  chart.x = {.title = options.plot_axis, .logarithmic = true};
  chart.y = {.title = measure};
  std::map<std::string, size_t> lines;
  for (const auto& row : rows) {
    for (const auto& [key, text] : row.axis_values) {
      if (key != options.plot_axis) {
        continue;
      }
      const auto label = line_label(row, key);
      const auto [found, is_new] = lines.try_emplace(label, chart.series.size());
      if (is_new) {
        chart.series.push_back(
            {.label = label, .color = static_cast<int>(chart.series.size()), .points = {}});
      }
      chart.series[found->second].points.push_back(point_of(std::stod(text), row.values.front()));
    }
  }
  return report::line_chart_svg(chart);
}

std::string bar_plot(const StudyOptions& options, const std::vector<StudyRow>& rows,
                     const std::string& measure) {
  report::BarChart chart;
  chart.name = options.title;
  chart.title = measure;
  for (const auto& row : rows) {
    const auto point = point_of(0.0, row.values.front());
    chart.bars.push_back(
        {.label = row.label(), .value = point.y, .low = point.low, .high = point.high});
  }
  return report::bar_chart_svg(chart);
}

}  // namespace

std::string StudyRow::label() const {
  std::string text = arm;
  for (const auto& [key, value] : axis_values) {
    text += ", " + key + " " + value;
  }
  return equal_time ? text + ", equal time" : text;
}

std::vector<StudyRow> study_rows(const StudyOptions& options, const std::vector<StudyCell>& cells) {
  const auto measures = study_measures(options);
  std::vector<StudyRow> rows;
  std::map<std::string, size_t> index;
  std::vector<std::vector<std::vector<double>>> values;  // by row, measure and seed
  for (const auto& cell : cells) {
    StudyRow row{.arm = cell.arm,
                 .axis_values = cell.axis_values,
                 .equal_time = cell.equal_time,
                 .values = {}};
    const auto [found, is_new] = index.try_emplace(row.label(), rows.size());
    if (is_new) {
      rows.push_back(row);
      values.emplace_back(measures.size());
    }
    for (size_t measure = 0; measure < measures.size(); ++measure) {
      const double value = measured(cell, measures[measure]);
      if (std::isfinite(value)) {
        values[found->second][measure].push_back(value);
      }
    }
  }
  for (size_t row = 0; row < rows.size(); ++row) {
    for (const auto& of_seeds : values[row]) {
      rows[row].values.push_back(summarise(of_seeds));
    }
  }
  return rows;
}

report::Table study_table(const StudyOptions& options, const std::vector<StudyRow>& rows) {
  report::Table table;
  table.title = options.title;
  table.columns.push_back({.name = "run"});
  for (const auto& measure : study_measures(options)) {
    table.columns.push_back({.name = measure.label, .numeric = true});
  }
  for (const auto& row : rows) {
    report::Row line;
    line.cells.emplace_back(row.label());
    for (const auto& value : row.values) {
      line.cells.emplace_back(value_text(value));
    }
    table.rows.push_back(std::move(line));
  }
  table.note = fmt::format("mean \u00b1 standard deviation over {} seeds", options.seeds);
  return table;
}

std::string study_markdown(const report::Table& table) {
  std::string text = "|";
  std::string rule = "|";
  for (const auto& column : table.columns) {
    text += " " + column.name + " |";
    rule += column.numeric ? "---:|" : "---|";
  }
  text += "\n" + rule + "\n";
  for (const auto& row : table.rows) {
    text += "|";
    for (const auto& cell : row.cells) {
      text += " " + cell.text + " |";
    }
    text += "\n";
  }
  return text + "\n" + table.note + "\n";
}

std::string study_plot_svg(const StudyOptions& options, const std::vector<StudyRow>& rows) {
  const auto measure = study_measures(options).front().label;
  return standalone_svg(options.plot_axis.empty() ? bar_plot(options, rows, measure)
                                                  : line_plot(options, rows, measure));
}

Json study_json(const StudyOptions& options, const std::vector<StudyRow>& rows) {
  const auto measures = study_measures(options);
  Json list = Json::array();
  for (const auto& row : rows) {
    Json entry{{"arm", row.arm}, {"equal_time", row.equal_time}};
    for (const auto& [key, value] : row.axis_values) {
      entry["axes"][key] = value;
    }
    for (size_t measure = 0; measure < measures.size(); ++measure) {
      const auto& value = row.values[measure];
      entry["measures"][measures[measure].label] = {
          {"mean", value.mean}, {"deviation", value.deviation}, {"count", value.count}};
    }
    list.push_back(entry);
  }
  return list;
}

void write_study(const StudyOptions& options, const std::vector<StudyRow>& rows) {
  const fs::path folder = options.output;
  write_text_file(folder / "table.md", study_markdown(study_table(options, rows)));
  write_text_file(folder / "plot.svg", study_plot_svg(options, rows));
  write_text_file(folder / "results.json", study_json(options, rows).dump(2) + "\n");
}

}  // namespace softmoe
