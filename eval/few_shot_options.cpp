#include "eval/few_shot_options.h"

#include <fmt/format.h>

#include "core/error.h"

namespace softmoe {

void describe(OptionTable& table, FewShotOptions& options) {
  table.add("shots", options.shots, "training examples per class, one result each",
            {.unit = "images", .min = 1});
  table.add("fewshot-seeds", options.fewshot_seeds, "draws of the training examples", {.min = 1});
  table.add("lambdas", options.lambdas, "ridge penalties above 0, one result each", {.min = 0});
  table.add(
      "test-selected-lambda", options.test_selected_lambda,
      "try 2^-10 .. 2^19 and take, for each number of shots, the lambda of the best mean rank "
      "on the test accuracies (vmoe's variant; optimistic)");
  table.add("seed", options.seed, "key of all random choices", {.min = 0});
}

std::vector<double> vmoe_lambdas() {
  std::vector<double> lambdas;
  for (int exponent = -10; exponent < 20; ++exponent) {
    lambdas.push_back(std::ldexp(1.0, exponent));
  }
  return lambdas;
}

std::vector<double> resolved_lambdas(const FewShotOptions& options) {
  if (options.test_selected_lambda) {
    return vmoe_lambdas();
  }
  if (options.lambdas.empty()) {
    throw UsageError("lambdas", "at least one number", "none");
  }
  for (const double lambda : options.lambdas) {
    if (!(lambda > 0) || !std::isfinite(lambda)) {
      throw UsageError("lambdas", "positive numbers", fmt::format("{:g}", lambda));
    }
  }
  return options.lambdas;
}

void validate(const FewShotOptions& options) {
  if (options.shots.empty()) {
    throw UsageError("shots", "at least one number", "none");
  }
  for (const int64_t shots : options.shots) {
    if (shots < 1) {
      throw UsageError("shots", "positive numbers", std::to_string(shots));
    }
  }
  if (options.fewshot_seeds < 1) {
    throw UsageError("fewshot-seeds", "at least 1", std::to_string(options.fewshot_seeds));
  }
}

}  // namespace softmoe
