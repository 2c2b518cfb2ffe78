#include <fmt/format.h>

#include <ctime>

#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/file_conflicts.h"
#include "cli/print_line.h"
#include "core/error.h"
#include "core/log.h"
#include "core/version.h"
#include "io/atomic_file.h"
#include "report/report.h"
#include "report/result_files.h"

namespace softmoe::cli {
namespace {

std::string today() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  ::localtime_r(&now, &local);
  char text[16];
  std::strftime(text, sizeof(text), "%Y-%m-%d", &local);
  return text;
}

}  // namespace

void run_report(const std::vector<std::string>& arguments) {
  ReportOptions options;
  std::vector<std::string> inputs;
  CommandLine line("report",
                   "One self-contained HTML page of tables and plots, and its summary on stdout.");
  line.add("Report", options);
  line.add_names(
      {.name = "RESULT",
       .meaning = "run folders of train and finetune and --json files of train, finetune, "
                  "fewshot, eval, benchmark, inspect and predict; LABEL=PATH gives one a label"},
      inputs);
  if (!line.parse(arguments)) {
    return;
  }
  if (inputs.empty()) {
    throw UsageError("no results given: run folders or --json files of other commands");
  }
  check_replaces_page(options.output);
  const auto results = report::read_results(inputs);
  const auto subtitle = fmt::format("softmoe {}, {}", kVersion, today());
  write_text_file(options.output, report_html(results, options.title, subtitle));
  const auto summary = report_summary_text(results);
  line.write_json({{"output", options.output}, {"inputs", inputs}, {"summary", summary}});
  print_text(summary);
  log_line("wrote " + options.output);
}

}  // namespace softmoe::cli
