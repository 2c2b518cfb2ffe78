#include <fmt/format.h>

#include <set>

#include "report/number_text.h"
#include "report/sections.h"

namespace softmoe::report {
namespace {

/// The scores on `data_set`; the best of all methods is marked.
Table probe_table(const std::vector<ProbeScore>& scores, const std::string& data_set) {
  Table table{
      .title = data_set,
      .columns = {
          {"features"}, {"classifier"}, {"images", true}, {"top-1, %", true}, {"top-5, %", true}}};
  double best = kMissing;
  int64_t count = 0;
  for (const auto& score : scores) {
    if (score.data_set == data_set) {
      best = std::fmax(best, score.top1);
      ++count;
    }
  }
  for (const auto& score : scores) {
    if (score.data_set == data_set) {
      Row row{.cells = {score.label, score.method, fixed_text(score.examples, 0)}};
      row.cells.emplace_back(percent_text(score.top1), count > 1 && score.top1 == best);
      row.cells.emplace_back(percent_text(score.top5));
      table.rows.push_back(std::move(row));
    }
  }
  return table;
}

}  // namespace

Section probe_section(const Results& results) {
  Section section("probes", "Probes of frozen features",
                  "Nearest neighbours by cosine similarity, and linear classifiers, of features "
                  "that do not learn; both see all training images.");
  std::vector<Table> tables;
  std::set<std::string> done;
  for (const auto& score : results.probes) {
    if (done.insert(score.data_set).second) {
      tables.push_back(probe_table(results.probes, score.data_set));
    }
  }
  section.add_tables(tables);
  return section;
}

}  // namespace softmoe::report
