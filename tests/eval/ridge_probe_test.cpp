#include "eval/ridge_probe.h"

#include "eval/few_shot_cases.h"
#include "support/tensor_matcher.h"

namespace softmoe {
namespace {

using test::all_close;
using test::clusters;
using test::ReferenceCase;
using test::to_vector;
using test::Tolerance;

TEST(RidgeProbe, SolvesTwoPointsAsByHand) {
  const double lambda = 2.0;
  const RidgeProbe probe(torch::tensor({{4.0}, {6.0}}), torch::tensor({0, 1}, torch::kInt64), 2);
  const double x = 1.0 / (1.0 + 1e-5);  // deviation 1 + 1e-5 around the mean 5
  const double weight = 2 * x / (2 * x * x + lambda);
  const auto expected = torch::tensor({{-weight, weight}, {0.0, 0.0}}, torch::kFloat64);
  EXPECT_TRUE(all_close(probe.weights(lambda), expected));
  EXPECT_TRUE(all_close(probe.standardize(torch::tensor({{7.0}})),
                        torch::tensor({{2 * x, 100.0}}, torch::kFloat64)));
}

TEST(RidgeProbe, SolvesTheNormalEquationsInBothGramSpaces) {
  for (const int64_t examples : {5, 40}) {  // fewer and more than the 8 columns with the constant
    const auto set = clusters("train", examples, 7, 3, 0.5, /*seed=*/3);
    const RidgeProbe probe(set.features, set.labels, 3);
    const auto inputs = probe.standardize(set.features);  // [examples, 8]
    const auto targets = 2.0 * torch::one_hot(set.labels, 3).to(torch::kFloat64) - 1.0;
    for (const double lambda : {1e-3, 1024.0}) {
      const auto left = inputs.t().matmul(inputs) + lambda * torch::eye(8, torch::kFloat64);
      EXPECT_TRUE(all_close(left.matmul(probe.weights(lambda)), inputs.t().matmul(targets),
                            Tolerance{.relative = 1e-9}))
          << examples << " examples, lambda " << lambda;
    }
  }
}

TEST(RidgeProbe, EqualsTheReferenceForEveryShotAndLambda) {
  const ReferenceCase reference;
  const auto lambdas = to_vector(reference.at("l2_regs"));
  const auto weights_index = to_vector(reference.at("weights_l2_index"));
  for (const int64_t shots : {1, 5, 10, 25}) {
    const std::string prefix = "d32_c10/shot" + std::to_string(shots) + "/";
    const auto subset = reference.subset(shots);
    const auto labels = reference.labels("train").index_select(0, subset);
    const RidgeProbe probe(reference.features("train").index_select(0, subset), labels, 10);
    EXPECT_TRUE(all_close(probe.mean(), reference.at(prefix + "mean"), Tolerance{2e-6}));
    EXPECT_TRUE(all_close(probe.std(), reference.at(prefix + "std"), Tolerance{2e-6}));
    const auto expected = reference.at(prefix + "weights_f64run");  // [lambdas, dim + 1, classes]
    for (size_t i = 0; i < weights_index.size(); ++i) {
      const double lambda = lambdas[static_cast<size_t>(weights_index[i])];
      EXPECT_TRUE(all_close(probe.weights(lambda), expected[static_cast<int64_t>(i)],
                            Tolerance{.relative = 1e-7}))
          << shots << " shots, lambda " << lambda;
    }
  }
}

}  // namespace
}  // namespace softmoe
