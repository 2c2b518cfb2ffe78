#pragma once
/// `softmoe report`: results of other commands as one HTML page and as tables for a terminal.

#include <string>
#include <vector>

#include "core/options.h"
#include "report/results.h"

namespace softmoe {

struct ReportOptions {
  std::string output = "report.html";
  std::string title = "Soft MoE report";

  bool operator==(const ReportOptions&) const = default;
};

void describe(OptionTable& table, ReportOptions& options);

/// The page: self-contained, without scripts, for light and dark screens, phones and print.
/// `subtitle` stands below the title. Throws InputError if a drawing cannot be read.
std::string report_html(const report::Results& results, const std::string& title,
                        const std::string& subtitle);

/// The summary of the page as aligned text.
std::string report_summary_text(const report::Results& results);

}  // namespace softmoe
