#include <fmt/format.h>

#include <algorithm>

#include "report/curves.h"
#include "report/groups.h"
#include "report/number_text.h"
#include "report/sections.h"

namespace softmoe::report {
namespace {

constexpr int64_t kHeadlineShots = 10;  // the number of shots that papers quote
constexpr size_t kHeadlinesOfAKind = 2;

/// "others: a 56.1, b 48.0": the context of a headline.
std::string others_text(const std::vector<std::pair<std::string, double>>& values,
                        const std::string& best) {
  std::string text;
  for (const auto& [label, value] : values) {
    if (label != best && std::isfinite(value)) {
      text += (text.empty() ? "" : ", ") + label + " " + percent_text(value);
    }
  }
  return text;
}

/// Adds the best of labelled shares as a headline, if one is finite.
void add_best(std::vector<Headline>& headlines,
              const std::vector<std::pair<std::string, double>>& values, const std::string& what) {
  const std::pair<std::string, double>* best = nullptr;
  for (const auto& value : values) {
    if (std::isfinite(value.second) && (best == nullptr || value.second > best->second)) {
      best = &value;
    }
  }
  if (best != nullptr) {
    headlines.push_back({.value = percent_text(best->second) + " %",
                         .meaning = best->first + ": " + what,
                         .context = others_text(values, best->first)});
  }
}

void add_training(std::vector<Headline>& headlines, const Results& results) {
  for (const auto& group : run_groups(results.runs)) {
    const double seconds = common_end(group.runs, &CurvePoint::seconds);
    std::vector<std::pair<std::string, double>> values;
    for (const auto& run : group.runs) {
      values.emplace_back(run.label, value_at(run.eval_top1, &CurvePoint::seconds, seconds));
    }
    if (headlines.size() < kHeadlinesOfAKind) {
      add_best(headlines, values,
               fmt::format("top-1 on {} after {} of {}", group.data_set, duration_text(seconds),
                           group.finetuned ? "fine-tuning" : "training"));
    }
  }
}

/// The number of shots in a group that is nearest to kHeadlineShots.
int64_t headline_shots(const FewShotGroup& group) {
  return *std::min_element(group.shots.begin(), group.shots.end(), [](int64_t a, int64_t b) {
    return std::abs(a - kHeadlineShots) < std::abs(b - kHeadlineShots);
  });
}

void add_few_shot(std::vector<Headline>& headlines, const Results& results) {
  size_t count = 0;
  for (const auto& group : few_shot_groups(results.few_shot)) {
    if (group.shots.empty() || count++ == kHeadlinesOfAKind) {
      continue;
    }
    const auto shots = headline_shots(group);
    std::vector<std::pair<std::string, double>> values;
    for (size_t i = 0; i < group.curves.size(); ++i) {
      const auto* point = group.find(i, shots);
      values.emplace_back(group.curves[i].label, point == nullptr ? kMissing : point->accuracy);
    }
    add_best(headlines, values, fmt::format("{} shots on {}", shots, group.data_set));
  }
}

void add_throughput(std::vector<Headline>& headlines, const Results& results) {
  const auto is_soft = [](const ThroughputResult& record) {
    return record.model.find("softmoe") != std::string::npos;
  };
  const ThroughputResult* fastest = nullptr;
  for (const auto& record : results.throughput) {
    const bool counts = std::isfinite(record.ratio) && record.ratio != 1.0;
    // The report is about Soft MoE models, even if a small dense model is faster.
    const bool is_better = fastest == nullptr || is_soft(record) > is_soft(*fastest) ||
                           (is_soft(record) == is_soft(*fastest) && record.ratio > fastest->ratio);
    fastest = counts && is_better ? &record : fastest;
  }
  if (fastest == nullptr) {
    return;
  }
  for (const auto& group : throughput_groups(results.throughput)) {
    const auto has = [&](const auto& predicate) {
      return std::find_if(group.records.begin(), group.records.end(), predicate);
    };
    const auto baseline = has([](const ThroughputResult& record) { return record.ratio == 1.0; });
    const auto found = has([&](const ThroughputResult& record) {
      return record.ratio == fastest->ratio && record.model == fastest->model;
    });
    if (found != group.records.end() && baseline != group.records.end()) {
      headlines.push_back({.value = short_text(fastest->ratio) + "\u00d7",
                           .meaning = fmt::format("{}: images per second, relative to {}",
                                                  fastest->name(), baseline->name()),
                           .context = group.title});
      return;
    }
  }
}

Table runs_table(const Results& results) {
  Table table{.title = "Training",
              .columns = {{"run"},
                          {"data"},
                          {"steps", true},
                          {"time", true},
                          {"top-1, %", true},
                          {"at equal time, %", true}}};
  for (const auto& group : run_groups(results.runs)) {
    const double seconds = common_end(group.runs, &CurvePoint::seconds);
    for (const auto& run : group.runs) {
      table.rows.push_back(
          {.cells = {run.label, run.data_set, fixed_text(run.steps, 0), duration_text(run.seconds),
                     percent_text(last_value(run.eval_top1)),
                     percent_text(value_at(run.eval_top1, &CurvePoint::seconds, seconds))}});
    }
  }
  return table;
}

Table few_shot_table(const Results& results) {
  const auto groups = few_shot_groups(results.few_shot);
  std::vector<int64_t> shots;
  for (const auto& group : groups) {
    shots.insert(shots.end(), group.shots.begin(), group.shots.end());
  }
  std::sort(shots.begin(), shots.end());
  shots.erase(std::unique(shots.begin(), shots.end()), shots.end());
  Table table{.title = "Few-shot accuracy, %", .columns = {{"features"}, {"data"}}};
  for (const auto number : shots) {
    table.columns.push_back({fmt::format("{} shot{}", number, number == 1 ? "" : "s"), true});
  }
  for (const auto& group : groups) {
    for (size_t i = 0; i < group.curves.size(); ++i) {
      Row row{.cells = {group.curves[i].label, group.data_set}};
      for (const auto number : shots) {
        const auto* point = group.find(i, number);
        row.cells.emplace_back(percent_text(point == nullptr ? kMissing : point->accuracy));
      }
      table.rows.push_back(std::move(row));
    }
  }
  return table;
}

Table probes_table(const Results& results) {
  Table table{.title = "Probes", .columns = {{"features"}, {"data"}, {"classifier"}}};
  table.columns.push_back({"top-1, %", true});
  for (const auto& score : results.probes) {
    table.rows.push_back(
        {.cells = {score.label, score.data_set, score.method, percent_text(score.top1)}});
  }
  return table;
}

Table throughput_table(const Results& results) {
  Table table{.title = "Throughput",
              .columns = {{"model"},
                          {"conditions"},
                          {"img/s", true},
                          {"ratio", true},
                          {"of matmul peak, %", true}}};
  for (const auto& group : throughput_groups(results.throughput)) {
    for (const auto& record : group.records) {
      table.rows.push_back(
          {.cells = {record.name(), group.title, short_text(record.images_per_second.median),
                     short_text(record.ratio), percent_text(record.matmul_share, 0)}});
    }
  }
  return table;
}

Table evaluation_table(const Results& results) {
  Table table{.title = "Evaluation",
              .columns = {{"checkpoint"}, {"data"}, {"images", true}, {"top-1, %", true}}};
  for (const auto& score : results.evaluations) {
    table.rows.push_back({.cells = {score.label, score.data_set, fixed_text(score.examples, 0),
                                    percent_text(score.top1)}});
  }
  return table;
}

}  // namespace

std::vector<Headline> headlines(const Results& results) {
  std::vector<Headline> all;
  add_training(all, results);
  add_few_shot(all, results);
  add_throughput(all, results);
  return all;
}

std::vector<Table> summary_tables(const Results& results) {
  std::vector<Table> tables{runs_table(results), few_shot_table(results), probes_table(results),
                            throughput_table(results), evaluation_table(results)};
  std::erase_if(tables, [](const Table& table) { return table.rows.empty(); });
  return tables;
}

Section summary_section(const Results& results) {
  Section section("summary", "Summary");
  section.add_headlines(headlines(results));
  section.add_tables(summary_tables(results));
  return section;
}

}  // namespace softmoe::report
