#pragma once
/// The table of optimizers: one row each.

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "train/optimizer.h"

namespace softmoe {

/// An optimizer that `--opt` can name.
struct OptimizerRow {
  std::string_view name;
  std::string_view source;
  std::unique_ptr<Optimizer> (*make)(const std::vector<NamedParameter>& parameters,
                                     const OptimizerOptions& options);
};
/// adamw and sgd.
std::span<const OptimizerRow> optimizers();

/// The optimizer that `options` name; throws UsageError if there is none of that name.
std::unique_ptr<Optimizer> make_optimizer(const std::vector<NamedParameter>& parameters,
                                          const OptimizerOptions& options);

}  // namespace softmoe
