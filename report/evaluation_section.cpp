#include <fmt/format.h>

#include "report/number_text.h"
#include "report/sections.h"

namespace softmoe::report {

Section evaluation_section(const Results& results) {
  Section section("evaluation", "Evaluation", "Checkpoints on labelled sets.");
  Table table{.columns = {{"checkpoint"},
                          {"data"},
                          {"images", true},
                          {"top-1, %", true},
                          {"top-5, %", true},
                          {"loss", true},
                          {"calibration error, %", true}}};
  for (const auto& score : results.evaluations) {
    table.rows.push_back(
        {.cells = {score.label, score.data_set, fixed_text(score.examples, 0),
                   percent_text(score.top1), percent_text(score.top5), short_text(score.loss),
                   percent_text(score.calibration_error)}});
  }
  section.add_table(table);
  return section;
}

}  // namespace softmoe::report
