#include "report/groups.h"

#include <fmt/format.h>

#include <algorithm>

namespace softmoe::report {
namespace {

/// The group for which `matches` holds; if there is none, `fresh` is added and returned.
template <typename Group, typename Predicate>
Group& find_or_add(std::vector<Group>& groups, const Predicate& matches, Group fresh) {
  const auto found = std::find_if(groups.begin(), groups.end(), matches);
  if (found != groups.end()) {
    return *found;
  }
  groups.push_back(std::move(fresh));
  return groups.back();
}

std::string throughput_title(const ThroughputResult& record) {
  return fmt::format("{}, batch {}, {}",
                     record.mode == "infer"   ? "inference"
                     : record.mode == "train" ? "training"
                                              : record.mode,
                     record.batch_size, record.dtype);
}

}  // namespace

std::vector<RunGroup> run_groups(const std::vector<TrainingRun>& runs) {
  std::vector<RunGroup> groups;
  for (const auto& run : runs) {
    auto& group = find_or_add(
        groups, [&](const RunGroup& known) { return known.data_set == run.data_set; },
        RunGroup{.data_set = run.data_set, .runs = {}});
    group.finetuned = group.finetuned || run.finetuned;
    group.runs.push_back(run);
  }
  return groups;
}

const FewShotPoint* FewShotGroup::find(size_t index, int64_t number_of_shots) const {
  for (const auto& point : curves.at(index).points) {
    if (point.shots == number_of_shots) {
      return &point;
    }
  }
  return nullptr;
}

std::vector<FewShotGroup> few_shot_groups(const std::vector<FewShotCurve>& curves) {
  std::vector<FewShotGroup> groups;
  for (const auto& curve : curves) {
    auto& group = find_or_add(
        groups, [&](const FewShotGroup& known) { return known.data_set == curve.data_set; },
        FewShotGroup{.data_set = curve.data_set, .shots = {}, .curves = {}});
    group.curves.push_back(curve);
    for (const auto& point : curve.points) {
      const auto place = std::lower_bound(group.shots.begin(), group.shots.end(), point.shots);
      if (place == group.shots.end() || *place != point.shots) {
        group.shots.insert(place, point.shots);
      }
    }
  }
  return groups;
}

std::vector<ThroughputGroup> throughput_groups(const std::vector<ThroughputResult>& records) {
  std::vector<ThroughputGroup> groups;
  for (const auto& record : records) {
    const auto title = throughput_title(record);
    find_or_add(
        groups, [&](const ThroughputGroup& known) { return known.title == title; },
        ThroughputGroup{.title = title, .records = {}})
        .records.push_back(record);
  }
  return groups;
}

}  // namespace softmoe::report
