#include <fmt/format.h>

#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/print_line.h"
#include "core/error.h"
#include "core/log.h"
#include "sweep/study_results.h"
#include "sweep/study_runner.h"

namespace softmoe::cli {

void run_sweep(const std::vector<std::string>& arguments) {
  StudyOptions options;
  CommandLine line("sweep",
                   "A grid of runs over settings and seeds, with a table and a plot of their "
                   "results. Started again, it runs only what is missing.");
  line.add("Study", options);
  if (!line.parse(arguments)) {
    return;
  }
  study_measures(options);  // throws before hours are spent if a measure is wrong
  const auto study = run_study(options);
  const auto rows = study_rows(options, study.cells);
  write_study(options, rows);
  line.write_json({{"rows", study_json(options, rows)}});
  print_text(report::table_text(study_table(options, rows)));
  log_line("wrote table.md, plot.svg and results.json in " + options.output);
  if (!study.failed.empty()) {
    throw InputError(fmt::format("{} of the runs failed, {} first; their logs are in {}/logs",
                                 study.failed.size(), study.failed.front(), options.output));
  }
}

}  // namespace softmoe::cli
