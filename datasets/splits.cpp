#include "datasets/splits.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <array>

#include "core/error.h"
#include "core/log.h"
#include "core/lower_case.h"
#include "core/pluralize.h"
#include "datasets/subset.h"

namespace softmoe {
namespace {

constexpr int64_t kHoldOutEvery = 10;

constexpr std::array kSplitNames{
    SplitName{"train", SplitKind::kTrain},    SplitName{"training", SplitKind::kTrain},
    SplitName{"val", SplitKind::kVal},        SplitName{"valid", SplitKind::kVal},
    SplitName{"validation", SplitKind::kVal}, SplitName{"dev", SplitKind::kVal},
    SplitName{"test", SplitKind::kVal},       SplitName{"testing", SplitKind::kVal},
    SplitName{"eval", SplitKind::kVal},       SplitName{"all", SplitKind::kAll},
};

std::vector<int64_t> held_out_indices(const Dataset& whole, SplitKind kind) {
  std::vector<int64_t> seen(whole.class_names().size() + 1, 0);  // the last: without a label
  std::vector<int64_t> indices;
  for (int64_t index = 0; index < whole.size(); ++index) {
    const auto labels = whole.labels(index);  // of several labels the first counts
    const auto group = labels.empty() ? seen.size() - 1 : static_cast<size_t>(labels.front());
    const int64_t rank = seen.at(group)++;
    const bool is_val = rank % kHoldOutEvery == 1;  // not 0: the only image of a class is train
    if (is_val == (kind == SplitKind::kVal)) {
      indices.push_back(index);
    }
  }
  return indices;
}

}  // namespace

std::span<const SplitName> split_names() { return kSplitNames; }

std::optional<SplitKind> split_kind(const std::string& split) {
  const auto name = lower_case(split);
  for (const auto& row : kSplitNames) {
    if (name == row.text) {
      return row.kind;
    }
  }
  return std::nullopt;
}

SplitKind require_split_kind(const std::string& split, const std::string& source) {
  const auto kind = split_kind(split);
  if (!kind) {
    throw UsageError("split of " + source, "train, val (test) or all", "'" + split + "'");
  }
  return *kind;
}

std::unique_ptr<Dataset> hold_out(std::unique_ptr<Dataset> whole, SplitKind kind) {
  if (kind == SplitKind::kAll) {
    return whole;
  }
  auto indices = held_out_indices(*whole, kind);
  log_line(fmt::format("every {}th image of a class is held out as val: {} has {} of {}",
                       kHoldOutEvery, kind == SplitKind::kVal ? "val" : "train", indices.size(),
                       pluralize(whole->size(), "image")));
  return std::make_unique<Subset>(std::move(whole), std::move(indices));
}

void check_index(int64_t index, int64_t size) {
  TORCH_CHECK_INDEX(index >= 0 && index < size, "image ", index, " of a set of ", size);
}

std::vector<std::string> numbered_classes(int64_t count) {
  std::vector<std::string> names;
  for (int64_t label = 0; label < count; ++label) {
    names.push_back(std::to_string(label));
  }
  return names;
}

}  // namespace softmoe
