#include "report/report.h"

#include "report/sections.h"

namespace softmoe {

void describe(OptionTable& table, ReportOptions& options) {
  table.add("output", options.output, "the page to write", {.unit = "file"});
  table.add("title", options.title, "title of the page");
}

std::string report_html(const report::Results& results, const std::string& title,
                        const std::string& subtitle) {
  report::SeriesColors colors;
  return report::page_html(
      title, subtitle,
      {report::summary_section(results),
       report::training_section(results, /*finetuned=*/false, colors),
       report::few_shot_section(results, colors), report::probe_section(results),
       report::training_section(results, /*finetuned=*/true, colors),
       report::evaluation_section(results, colors), report::throughput_section(results, colors),
       report::dispatch_section(results), report::prediction_section(results),
       report::provenance_section(results)});
}

std::string report_summary_text(const report::Results& results) {
  std::string text;
  for (const auto& table : report::summary_tables(results)) {
    text += (text.empty() ? "" : "\n") + report::table_text(table);
  }
  return text;
}

}  // namespace softmoe
