#include "vit/mlp.h"

#include "ops/initialization.h"
#include "vit/definitions.h"

namespace softmoe {
namespace {

using test::all_close;
using test::randomise;
using test::same_bits;

TEST(Mlp, FollowsItsDefinition) {
  const DefaultDtypeGuard fp64(torch::kFloat64);
  for (const auto gelu : {Activation::kGeluTanh, Activation::kGeluExact, Activation::kGeluQuick}) {
    Mlp module(6, 10, gelu, /*dropout=*/0.0);
    randomise(module);
    const auto x = torch::randn({3, 4, 6});
    const auto before = x.matmul(module->fc1->weight.t()) + module->fc1->bias;
    const auto gate = gelu == Activation::kGeluTanh
                          ? (std::sqrt(2.0 / M_PI) * (before + 0.044715 * before.pow(3))).tanh()
                          : (before / std::sqrt(2.0)).erf();
    const auto hidden = gelu == Activation::kGeluQuick ? before / (1.0 + (-1.702 * before).exp())
                                                       : 0.5 * before * (1.0 + gate);
    const auto expected = hidden.matmul(module->fc2->weight.t()) + module->fc2->bias;
    EXPECT_TRUE(all_close(module->forward(x), expected));
    EXPECT_TRUE(all_close(module->forward(x, x), x + expected));
  }
}

TEST(Mlp, OfSwiGluGatesTheSecondHalfByTheFirst) {
  const DefaultDtypeGuard fp64(torch::kFloat64);
  Mlp module(6, 10, Activation::kSwiGlu, /*dropout=*/0.0);
  ASSERT_EQ(module->fc1->weight.sizes(), (std::vector<int64_t>{20, 6}));
  ASSERT_EQ(module->fc2->weight.sizes(), (std::vector<int64_t>{6, 10}));
  randomise(module);
  const auto x = torch::randn({3, 4, 6});
  const auto before = x.matmul(module->fc1->weight.t()) + module->fc1->bias;  // [3, 4, 20]
  const auto gate = before.narrow(2, 0, 10);
  const auto hidden = gate / (1.0 + (-gate).exp()) * before.narrow(2, 10, 10);
  const auto expected = hidden.matmul(module->fc2->weight.t()) + module->fc2->bias;
  EXPECT_TRUE(all_close(module->forward(x), expected));
  EXPECT_TRUE(all_close(module->forward(x, x), x + expected));
}

TEST(Mlp, OfSwiGluStartsWithTheSpreadOfTwoMapsOfTheirOwn) {
  torch::manual_seed(7);
  const Mlp module(96, 160, Activation::kSwiGlu, /*dropout=*/0.0);
  const double limit = std::sqrt(6.0 / (96 + 160));
  const double largest = module->fc1->weight.abs().max().item<double>();
  EXPECT_LE(largest, limit);
  EXPECT_GT(largest, 0.99 * limit);
}

TEST(Mlp, DropsHiddenChannelsAndOutputsInTrainingOnly) {
  Mlp module(6, 10, Activation::kGeluTanh, /*dropout=*/0.5);
  randomise(module);
  const auto x = torch::randn({50, 6});
  torch::manual_seed(1);
  const auto trained = module->forward(x);
  EXPECT_NEAR(trained.eq(0).to(torch::kFloat32).mean().item<double>(), 0.5, 0.1);
  EXPECT_FALSE(all_close(module->forward(x), trained));
  torch::manual_seed(1);
  EXPECT_TRUE(same_bits(module->forward(x, torch::ones_like(x)), trained + 1));
  module->eval();
  Mlp without(6, 10, Activation::kGeluTanh, /*dropout=*/0.0);
  const torch::NoGradGuard no_grad;
  for (auto& parameter : without->named_parameters()) {
    parameter.value().copy_(module->named_parameters()[parameter.key()]);
  }
  EXPECT_TRUE(same_bits(module->forward(x), without->forward(x)));
}

}  // namespace
}  // namespace softmoe
