#include "datasets/splits.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include "core/error.h"
#include "core/log.h"
#include "datasets/subset.h"

namespace softmoe {
namespace {

constexpr int64_t kHoldOutEvery = 10;

std::vector<int64_t> held_out_indices(const Dataset& whole, SplitKind kind) {
  std::vector<int64_t> seen(whole.class_names().size(), 0);
  std::vector<int64_t> indices;
  for (int64_t index = 0; index < whole.size(); ++index) {
    const int64_t rank = seen.at(static_cast<size_t>(whole.label(index)))++;
    const bool is_val = rank % kHoldOutEvery == 1;  // not 0: the only image of a class is train
    if (is_val == (kind == SplitKind::kVal)) {
      indices.push_back(index);
    }
  }
  return indices;
}

}  // namespace

std::optional<SplitKind> split_kind(const std::string& split) {
  if (split == "train" || split == "training") {
    return SplitKind::kTrain;
  }
  for (const char* name : {"val", "valid", "validation", "test", "eval"}) {
    if (split == name) {
      return SplitKind::kVal;
    }
  }
  return split == "all" ? std::optional(SplitKind::kAll) : std::nullopt;
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
  log_line(fmt::format(
      "the data has no splits: every {}th image of a class is val, here {} of {} images",
      kHoldOutEvery, indices.size(), whole->size()));
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
