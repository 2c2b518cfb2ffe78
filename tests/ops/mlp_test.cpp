#include "ops/mlp.h"

#include "ops/activation.h"
#include "ops/operator_checks.h"
#include "runtime/autocast_guard.h"

namespace softmoe::mlp_test {

using test::all_close;
using test::relative_error;

constexpr int64_t kExperts = 3;
constexpr int64_t kDim = 16;
constexpr int64_t kHidden = 26;
constexpr std::array kActivations{Activation::kGeluTanh, Activation::kGeluExact,
                                  Activation::kGeluQuick};

MlpParameters expert_parameters() {
  return {.fc1_weight = torch::randn({kExperts, kHidden, kDim}) / 4,
          .fc1_bias = torch::randn({kExperts, kHidden}),
          .fc2_weight = torch::randn({kExperts, kDim, kHidden}) / 5,
          .fc2_bias = torch::randn({kExperts, kDim})};
}

MlpParameters part_of(const MlpParameters& all, int64_t expert, torch::Dtype dtype) {
  return {all.fc1_weight[expert].to(dtype), all.fc1_bias[expert].to(dtype),
          all.fc2_weight[expert].to(dtype), all.fc2_bias[expert].to(dtype)};
}

torch::Tensor defined_mlp(const torch::Tensor& x, const MlpParameters& mlp, Activation activation) {
  const auto hidden = activate(x.matmul(mlp.fc1_weight.t()) + mlp.fc1_bias, activation);
  return hidden.matmul(mlp.fc2_weight.t()) + mlp.fc2_bias;
}

TEST(MlpOp, AgreesOnAllLevelsWithAndWithoutAutocast) {
  at::manual_seed(4);
  const auto all = expert_parameters();
  const auto parameters = part_of(all, 1, torch::kFloat32);
  const auto x = torch::randn({2, 7, kDim});
  const auto residual = torch::randn_like(x);
  for (const auto activation : kActivations) {
    const auto expected =
        residual + defined_mlp(x.to(torch::kFloat64), part_of(all, 1, torch::kFloat64), activation);
    for (const auto level : kernels::present_levels()) {
      const kernels::ScopedLevel scoped(level);
      EXPECT_LT(relative_error(mlp(x, parameters, activation, {}, residual), expected), 1e-6);
      const AutocastGuard autocast(torch::kCPU, torch::kBFloat16);
      EXPECT_LT(relative_error(mlp(x, parameters, activation, {}, residual), expected), 1.2e-2);
    }
  }
}

TEST(MlpOp, OfSwiGluGatesTheSecondHalfByTheFirst) {
  at::manual_seed(4);
  const MlpParameters parameters{torch::randn({20, 6}), torch::randn({20}), torch::randn({6, 10}),
                                 torch::randn({6})};
  const auto x = torch::randn({5, 6});
  for (const auto level : kernels::present_levels()) {
    const kernels::ScopedLevel scoped(level);
    EXPECT_TRUE(all_close(mlp(x, parameters, Activation::kSwiGlu),
                          defined_mlp(x, parameters, Activation::kSwiGlu)));
  }
}

TEST(MlpOp, OfExpertsIsThatOfEachOnItsOwnRows) {
  at::manual_seed(4);
  const auto all = expert_parameters();
  const auto x = torch::randn({kExperts, 5, kDim});
  for (const auto activation : kActivations) {
    std::vector<torch::Tensor> rows;
    for (int64_t expert = 0; expert < kExperts; ++expert) {
      rows.push_back(defined_mlp(x[expert].to(torch::kFloat64),
                                 part_of(all, expert, torch::kFloat64), activation));
    }
    const auto expected = torch::stack(rows);  // [experts, rows, dim]
    for (const auto level : kernels::present_levels()) {
      const kernels::ScopedLevel scoped(level);
      EXPECT_LT(relative_error(expert_mlp(x, all, activation), expected), 1e-6);
      const AutocastGuard autocast(torch::kCPU, torch::kBFloat16);
      EXPECT_LT(relative_error(expert_mlp(x, all, activation), expected), 1.2e-2);
    }
  }
}

TEST(MlpOp, DropsInTrainingOnly) {
  at::manual_seed(4);
  const auto all = expert_parameters();
  const auto x = torch::randn({kExperts, 50, kDim});
  const MlpDropout training{.rate = 0.5, .training = true};
  EXPECT_TRUE(training.drops());
  EXPECT_FALSE(MlpDropout{.rate = 0.5}.drops());
  for (const auto level : kernels::present_levels()) {
    const kernels::ScopedLevel scoped(level);
    const AutocastGuard autocast(torch::kCPU, torch::kBFloat16);
    const auto dropped = expert_mlp(x, all, Activation::kGeluTanh, training);
    EXPECT_NEAR(dropped.eq(0).to(torch::kFloat32).mean().item<double>(), 0.5, 0.1);
    EXPECT_TRUE(test::same_bits(expert_mlp(x, all, Activation::kGeluTanh, {.rate = 0.5}),
                                expert_mlp(x, all, Activation::kGeluTanh)));
  }
}

}  // namespace softmoe::mlp_test
