#pragma once
/// The sections of a report, one source each.

#include <vector>

#include "report/html_page.h"
#include "report/results.h"
#include "report/series_colors.h"

namespace softmoe::report {

/// The numbers at the top of the page.
std::vector<Headline> headlines(const Results& results);
/// The tables of the summary, also for the terminal.
std::vector<Table> summary_tables(const Results& results);

/// The sections of the page; a section without results is empty.
Section summary_section(const Results& results);
Section training_section(const Results& results, bool finetuned, SeriesColors& colors);
Section few_shot_section(const Results& results, SeriesColors& colors);
Section probe_section(const Results& results);
/// Bars have the colours that their models have in other sections.
Section throughput_section(const Results& results, const SeriesColors& colors);
Section evaluation_section(const Results& results, SeriesColors& colors);
Section dispatch_section(const Results& results);
Section prediction_section(const Results& results);
Section provenance_section(const Results& results);

}  // namespace softmoe::report
