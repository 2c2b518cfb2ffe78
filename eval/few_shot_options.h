#pragma once
/// Options of few-shot evaluation.

#include <cstdint>
#include <vector>

#include "core/options.h"

namespace softmoe {

/// How to evaluate; the defaults are those of published results.
struct FewShotOptions {
  std::vector<int64_t> shots{1, 5, 10, 25};  ///< training examples per class, one result each
  int64_t fewshot_seeds = 3;                 ///< draws of the training examples
  std::vector<double> lambdas{1024.0};       ///< ridge penalties, one result each
  bool test_selected_lambda = false;         ///< use vmoe_lambdas(), for select_lambdas_on_test()
  int64_t seed = 0;                          ///< key of all random choices

  bool operator==(const FewShotOptions&) const = default;
};

void describe(OptionTable& table, FewShotOptions& options);

/// The candidates of vmoe's variant: 2^-10, 2^-9 .. 2^19.
std::vector<double> vmoe_lambdas();

/// The lambdas that `options` asks for: its list, or vmoe's if one of them is to be selected.
/// Throws UsageError for an empty list and for lambdas that are not positive.
std::vector<double> resolved_lambdas(const FewShotOptions& options);

/// Throws UsageError unless there are shots and draws, all positive.
void validate(const FewShotOptions& options);

}  // namespace softmoe
