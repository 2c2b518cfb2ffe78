#include "eval/feature_set.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.h"
#include "io/npz.h"

namespace softmoe {
namespace {

std::string shape_text(const torch::Tensor& tensor) {
  return fmt::format("[{}]", fmt::join(tensor.sizes(), ", "));
}

void check_finite(const FeatureSet& set) {
  const auto finite_rows = set.features.isfinite().all(/*dim=*/1);  // [examples]
  if (finite_rows.all().item<bool>()) {
    return;
  }
  const auto bad_rows = finite_rows.logical_not().nonzero();  // [bad rows, 1]
  throw InputError(
      set.name + ": features", "finite numbers",
      fmt::format("NaN or infinity in {} of {} rows, first in row {}", bad_rows.size(0),
                  set.features.size(0), bad_rows[0].item<int64_t>()));
}

}  // namespace

void check_features(const FeatureSet& set) {
  if (!set.features.defined() || set.features.dim() != 2 || !set.features.is_floating_point()) {
    throw InputError(set.name + ": features", "floating-point [examples, dim]",
                     set.features.defined() ? shape_text(set.features) + " of " +
                                                  c10::toString(set.features.scalar_type())
                                            : "nothing");
  }
  if (!set.labels.defined() || set.labels.dim() != 1 || set.labels.scalar_type() != torch::kInt64) {
    throw InputError(set.name + ": labels", "int64 [examples]",
                     set.labels.defined()
                         ? shape_text(set.labels) + " of " + c10::toString(set.labels.scalar_type())
                         : "nothing");
  }
  if (set.features.size(0) != set.labels.size(0)) {
    throw InputError(set.name + ": labels", fmt::format("{} as features", set.features.size(0)),
                     std::to_string(set.labels.size(0)));
  }
  if (set.features.numel() == 0) {
    throw InputError(set.name + ": features", "at least one example and one column",
                     shape_text(set.features));
  }
  const auto smallest = set.labels.min().item<int64_t>();
  if (smallest < 0) {
    throw InputError(set.name + ": labels", "classes counted from 0", std::to_string(smallest));
  }
  check_finite(set);
}

void check_features(const FeatureSet& train, const FeatureSet& test) {
  check_features(train);
  check_features(test);
  if (train.features.size(1) != test.features.size(1)) {
    throw InputError(test.name + ": features",
                     fmt::format("{} columns as {}", train.features.size(1), train.name),
                     std::to_string(test.features.size(1)));
  }
}

FeatureSet read_features(const std::filesystem::path& path) {
  const auto arrays = read_npz(path);
  FeatureSet set{.name = path.string(),
                 .features = npz_array(arrays, "features", path),
                 .labels = npz_array(arrays, "labels", path)};
  if (set.features.dim() > 2) {
    set.features = set.features.flatten(/*start_dim=*/1);  // [examples, dim]
  }
  if (!set.features.is_floating_point()) {
    set.features = set.features.to(torch::kFloat32);
  }
  if (c10::isIntegralType(set.labels.scalar_type(), /*includeBool=*/false)) {
    set.labels = set.labels.to(torch::kInt64);
  }
  check_features(set);
  return set;
}

void write_features(const std::filesystem::path& path, const FeatureSet& set) {
  check_features(set);
  write_npz(path, {{"features", set.features.cpu()}, {"labels", set.labels.cpu()}});
}

}  // namespace softmoe
