#pragma once
/// The parts of a data set: names of splits, and a hold-out for sources that have one part.

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/error.h"
#include "datasets/dataset.h"

namespace softmoe {

/// The part of a set that a split's name stands for.
enum class SplitKind { kTrain, kVal, kAll };

/// A common name of a split.
struct SplitName {
  const char* text;
  SplitKind kind;
};
/// "train", "training"; "val", "valid", "validation", "dev", "test", "testing", "eval"; "all".
/// Where a source has several of one kind, the first counts: test images are not for choosing
/// models.
std::span<const SplitName> split_names();
/// The kind that `split` stands for, in letters of either case; nothing if it is no common name.
std::optional<SplitKind> split_kind(const std::string& split);
/// The kind that `split` stands for in a source that has these parts only; throws UsageError that
/// names `source` for any other split.
SplitKind require_split_kind(const std::string& split, const std::string& source);

/// The train or val part of a set that comes in one piece: every tenth image of each class, in the
/// order of the set and from the second on, is held out as val. kAll gives the set itself.
std::unique_ptr<Dataset> hold_out(std::unique_ptr<Dataset> whole, SplitKind kind);

/// Throws c10::IndexError unless `index` is in [0, size).
void check_index(int64_t index, int64_t size);

/// A data set lacks a split that was asked for, but has others.
class MissingSplit : public InputError {
 public:
  using InputError::InputError;
};

/// "0", "1", ... for sets whose classes have no names.
std::vector<std::string> numbered_classes(int64_t count);

}  // namespace softmoe
