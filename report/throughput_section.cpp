#include <fmt/format.h>

#include <set>

#include "core/text_format.h"
#include "report/bar_chart.h"
#include "report/groups.h"
#include "report/number_text.h"
#include "report/result_json.h"
#include "report/sections.h"

namespace softmoe::report {
namespace {

/// The note beside a bar: its ratio to the baseline.
std::string ratio_note(const ThroughputResult& record) {
  if (!std::isfinite(record.ratio)) {
    return "";
  }
  return record.ratio == 1.0 ? "baseline" : short_text(record.ratio) + "\u00d7";
}

std::string rate_chart(const ThroughputGroup& group, const SeriesColors& colors) {
  BarChart chart{.name = "throughput, " + group.title, .title = "images per second", .bars = {}};
  for (const auto& record : group.records) {
    chart.bars.push_back({.label = record.name(),
                          .value = record.images_per_second.median,
                          .low = record.images_per_second.minimum,
                          .high = record.images_per_second.maximum,
                          .note = ratio_note(record),
                          .is_reference = record.ratio == 1.0,
                          .color = colors.known_color(record.name()).value_or(-1)});
  }
  return bar_chart_svg(chart);
}

std::string share_chart(const ThroughputGroup& group, const SeriesColors& colors) {
  BarChart chart{.name = "share of the matmul peak, " + group.title,
                 .title = "share of this machine's measured matmul peak (%)",
                 .bars = {},
                 .full_scale = 100.0,
                 .digits = 2};
  for (const auto& record : group.records) {
    if (std::isfinite(record.matmul_share)) {
      chart.bars.push_back({.label = record.name(),
                            .value = 100.0 * record.matmul_share,
                            .is_reference = record.ratio == 1.0,
                            .color = colors.known_color(record.name()).value_or(-1)});
    }
  }
  return bar_chart_svg(chart);
}

Table left_out_table(const std::vector<LeftOutThroughput>& left_out) {
  Table table{.title = "Left out",
              .columns = {{"model"}, {"mode"}, {"dtype"}, {"batch", true}, {"reason"}}};
  for (const auto& item : left_out) {
    table.rows.push_back({.cells = {item.name, item.mode, item.dtype,
                                    std::to_string(item.batch_size), item.reason}});
  }
  return table;
}

/// The processors that benchmarks ran on and the levels of their kernels.
std::set<std::string> measured_on(const Results& results) {
  std::set<std::string> machines;
  for (const auto& provenance : results.provenance) {
    const auto processor = option_text(provenance.machine, "processor");
    const auto isa = option_text(provenance.machine, "isa");
    if (provenance.command == "benchmark" && !processor.empty()) {
      machines.insert(processor + (isa.empty() ? "" : ", kernels of level " + isa));
    }
  }
  return machines;
}

Table record_table(const std::vector<ThroughputResult>& records) {
  Table table{.columns = {{"model"},
                          {"mode"},
                          {"dtype"},
                          {"batch", true},
                          {"img/s", true},
                          {"min\u2013max", true},
                          {"ratio", true},
                          {"ms/img", true},
                          {"GFLOP/img", true},
                          {"of peak, %", true},
                          {"parameters", true},
                          {"peak memory", true}}};
  bool alone = false;
  for (const auto& record : records) {
    const auto& rate = record.images_per_second;
    table.rows.push_back(
        {.cells = {record.name(), record.mode, record.dtype, std::to_string(record.batch_size),
                   short_text(rate.median),
                   short_text(rate.minimum) + "\u2013" + short_text(rate.maximum),
                   short_text(record.ratio), short_text(record.milliseconds_per_image),
                   short_text(record.gflop), percent_text(record.matmul_share, 0),
                   format_count(record.parameters), format_bytes(record.peak_memory_bytes)}});
    alone = alone || !record.interleaved;
  }
  table.note =
      alone ? "Only one model was in memory at a time, so they ran one after another."
            : "The models took turns, so that a disturbance of the machine affects all of them.";
  return table;
}

}  // namespace

Section throughput_section(const Results& results, const SeriesColors& colors) {
  Section section("throughput", "Throughput",
                  "Bars: median of the rounds; whiskers: slowest and fastest round.");
  for (const auto& machine : measured_on(results)) {
    section.add_paragraph("Measured on " + machine + ".");
  }
  for (const auto& group : throughput_groups(results.throughput)) {
    auto title = group.title;
    title.front() = static_cast<char>(std::toupper(title.front()));
    section.add_heading(title);
    section.add_figures(
        {{"", rate_chart(group, colors), ""}, {"", share_chart(group, colors), ""}});
  }
  section.add_table(record_table(results.throughput));
  section.add_table(left_out_table(results.left_out));
  return section;
}

}  // namespace softmoe::report
