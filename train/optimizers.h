#pragma once
/// The table of optimizers: one row each.

#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "train/optimizer.h"

namespace softmoe {

/// The values with which an optimizer is used if none are given.
struct UsualValues {
  double momentum = 0.9;
  double beta2 = 0.999;
  double opt_eps = 1e-8;
};

/// An optimizer that `--opt` can name.
struct OptimizerRow {
  std::string_view name;
  std::string_view source;
  /// True if the update of an expert depends on no other expert, so that processes can update parts
  /// of the experts of a layer.
  bool by_expert;
  UsualValues usual;
  std::unique_ptr<Optimizer> (*make)(const std::vector<NamedParameter>& parameters,
                                     const OptimizerOptions& options);
};
std::span<const OptimizerRow> optimizers();

/// Sets the options that `options.opt` has usual values for, but those whose names (as describe()
/// has them) are in `keep`. Throws UsageError for an unknown optimizer.
void fit_optimizer(OptimizerOptions& options, const std::set<std::string>& keep);

/// The optimizer that `options` name; throws UsageError if there is none of that name.
std::unique_ptr<Optimizer> make_optimizer(const std::vector<NamedParameter>& parameters,
                                          const OptimizerOptions& options);

}  // namespace softmoe
