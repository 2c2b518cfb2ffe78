/// ReLU routing and its adaptive L1 loss.

#include "softmoe/routers/relu_router.h"

#include "softmoe/moe_layer.h"
#include "softmoe/routers/small_layers.h"
#include "support/gradient_check.h"
#include "support/tensor_matcher.h"

namespace softmoe::relu_router_test {

using test::all_close;
using test::full_record;
using test::same_bits;

MoeLayerOptions small_options() {
  auto options = test::small_layer_options("relu", 5);
  options.moe.sparse.top_k = 2;
  options.moe.sparse.l1_initial = 0.25;
  return options;
}

/// [9, 5] gates, about half of them zero.
torch::Tensor seeded_gates() {
  torch::manual_seed(1);
  return torch::randn({9, 5}, torch::kFloat64).relu();
}

TEST(BalancedL1, IsThePapersSumOverTokensAndExperts) {
  const auto gates = seeded_gates();
  const double top_k = 2;
  double expected = 0.0;
  for (int64_t token = 0; token < 9; ++token) {
    for (int64_t expert = 0; expert < 5; ++expert) {
      double active = 0.0;
      for (int64_t other = 0; other < 9; ++other) {
        active += gates[other][expert].item<double>() > 0 ? 1.0 : 0.0;
      }
      expected += 5.0 / (top_k * 9.0) * active * gates[token][expert].item<double>() / 9.0;
    }
  }
  EXPECT_NEAR(balanced_l1(gates, 2).item<double>(), expected, 1e-12);
}

TEST(BalancedL1, IsThePlainNormWhereLoadsAreOnTarget) {
  // Two positive gates a token, four tokens an expert.
  auto gates = torch::zeros({10, 5}, torch::kFloat64);
  for (int64_t token = 0; token < 10; ++token) {
    gates[token][token % 5] = 0.3 + 0.1 * static_cast<double>(token);
    gates[token][(token + 2) % 5] = 0.7;
  }
  EXPECT_NEAR(balanced_l1(gates, 2).item<double>(), gates.sum(-1).mean().item<double>(), 1e-12);
}

TEST(BalancedL1, PushesBusyExpertsDownHarder) {
  auto gates = seeded_gates().clone().requires_grad_();
  balanced_l1(gates, 2).backward();
  const auto active = (gates.detach() > 0).to(torch::kFloat64).sum(0);  // [experts]
  EXPECT_TRUE(all_close(gates.grad(), (active * (5.0 / (2.0 * 9.0 * 9.0))).expand({9, 5})));
}

TEST(L1Coefficient, RisesWhereGatesAreDenseAndFallsWhereTheyAreSparse) {
  const auto coefficient = torch::full({}, 0.5, torch::kFloat64);
  const auto adapted = [&](int64_t active, int64_t top_k) {
    auto gates = torch::zeros({4, 5}, torch::kFloat64);
    gates.view({-1}).narrow(0, 0, active).fill_(0.1);
    return adapted_l1_coefficient(coefficient, gates, top_k, 1.2, 1e-8).item<double>();
  };
  EXPECT_NEAR(adapted(9, 2), 0.6, 1e-12);
  EXPECT_NEAR(adapted(8, 2), 0.5, 1e-12) << "just as many as wanted";
  EXPECT_NEAR(adapted(7, 2), 0.5 / 1.2, 1e-12);
  EXPECT_NEAR(adapted(13, 3), 0.6, 1e-12);
  EXPECT_NEAR(adapted(20, 5), 0.5, 1e-12);
}

TEST(L1Coefficient, StaysBetweenItsLeastAndInfinityAndLeavesBothAtOnce) {
  const auto dense = torch::ones({4, 5});
  auto coefficient = torch::full({}, 1.0);
  const auto adapt = [&](const torch::Tensor& gates) {
    for (int step = 0; step < 500; ++step) {
      coefficient = adapted_l1_coefficient(coefficient, gates, 1, 2.0, 1e-3);
    }
    return coefficient.item<double>();
  };
  EXPECT_NEAR(adapt(0 * dense), 1e-3, 1e-9);
  coefficient = adapted_l1_coefficient(coefficient, dense, 1, 2.0, 1e-3);
  EXPECT_NEAR(coefficient.item<double>(), 2e-3, 1e-9);
  EXPECT_TRUE(std::isfinite(adapt(dense)));
  const double largest = coefficient.item<double>();
  coefficient = adapted_l1_coefficient(coefficient, 0 * dense, 1, 2.0, 1e-3);
  EXPECT_NEAR(coefficient.item<double>() / largest, 0.5, 1e-6);
}

TEST(ReluRouter, AdaptsItsCoefficientOnceInATrainingPassWhetherOrNotItIsRecorded) {
  torch::manual_seed(2);
  MoeLayer layer(small_options());
  const auto tokens = torch::randn({3, 7, 6});
  const auto coefficient = [&] { return layer->named_buffers()["router.l1_coefficient"]; };
  auto record = full_record();
  layer->forward(tokens, &record);
  const auto gates = record.combine.view({21, 5});
  ASSERT_GT((gates > 0).sum().item<int64_t>(), 21 * 2) << "denser than wanted";
  EXPECT_TRUE(all_close(record.scores.activation_l1.detach(), 0.25 * balanced_l1(gates, 2)))
      << "by the coefficient before the pass";
  EXPECT_NEAR(coefficient().item<double>(), 0.25 * 1.2, 1e-6);
  layer->forward(tokens);
  EXPECT_NEAR(coefficient().item<double>(), 0.25 * 1.2 * 1.2, 1e-6);
  record.scores.activation_l1.backward();  // what it was computed from is still there
  const auto clone = std::dynamic_pointer_cast<MoeLayerImpl>(layer->clone());
  EXPECT_TRUE(same_bits(clone->named_buffers()["router.l1_coefficient"], coefficient()));
  layer->eval();
  layer->forward(tokens, &record);
  EXPECT_NEAR(coefficient().item<double>(), 0.25 * 1.2 * 1.2, 1e-6);
}

TEST(ReluRouter, LeavesItsFirstCoefficientOnlyUpwards) {
  auto options = small_options();
  options.moe.sparse.top_k = 5;  // never too dense
  torch::manual_seed(9);
  ReluRouter router(options);
  router->route(torch::randn({3, 7, 6}), {}, nullptr);
  EXPECT_EQ(router->l1_coefficient.item<double>(), 0.25);
}

TEST(ReluRouter, StartsWithHalfOfTheGatesPositiveAndOutputsOfOneExpertsScale) {
  for (const int64_t experts : {8, 64}) {
    auto options = small_options();
    options.dim = 96;
    options.moe.experts = experts;
    torch::manual_seed(3);
    ReluRouter router(options);
    auto record = full_record();
    router->route(torch::randn({4, 200, 96}), {}, &record);
    EXPECT_NEAR(record.dispatch.mean().item<double>(), 0.5, 0.05);
    EXPECT_NEAR(record.combine.square().sum(2).mean().item<double>(), 1.0, 0.1);
  }
}

TEST(ReluRouter, GivesZeroToATokenThatNoExpertTakes) {
  torch::manual_seed(4);
  MoeLayer layer(small_options());
  {
    const torch::NoGradGuard no_grad;
    layer->named_parameters()["router.weight"].fill_(-1.0);
  }
  auto tokens = torch::rand({2, 7, 6});
  tokens[1][3] = -1.0;  // the only one with positive gates
  tokens.requires_grad_();
  auto record = full_record();
  const auto y = layer->forward(tokens, &record);
  EXPECT_NEAR(record.load.dropped.item<double>(), 13.0 / 14.0, 1e-6);
  const auto norm = y.norm(2, -1);  // [batch, tokens]
  EXPECT_GT(norm[1][3].item<double>(), 0.1);
  EXPECT_EQ((norm == 0).sum().item<int64_t>(), 13);
  y.sum().backward();
  EXPECT_TRUE(tokens.grad().isfinite().all().item<bool>());

  const auto none = layer->forward(torch::rand({2, 7, 6}), &record);
  EXPECT_EQ(none.abs().max().item<double>(), 0.0);
  EXPECT_EQ(record.load.dropped.item<double>(), 1.0);
}

TEST(ReluRouter, IsContinuousWhereATokenComesToAnExpert) {
  torch::manual_seed(5);
  MoeLayer layer(small_options());
  const torch::NoGradGuard no_grad;
  auto weight = layer->named_parameters()["router.weight"];
  const auto token = torch::randn({1, 1, 6});
  weight[0] -= token[0][0] * (weight[0].dot(token[0][0]) / token.square().sum());  // logit 0
  const auto step = token[0][0] * (1e-5 / token.square().sum().item<double>());
  weight[0] += step;
  auto above = full_record();
  const auto y_above = layer->forward(token, &above);
  weight[0] -= 2 * step;
  auto below = full_record();
  const auto y_below = layer->forward(token, &below);
  ASSERT_EQ((above.dispatch - below.dispatch).sum().item<double>(), 1.0);
  EXPECT_TRUE(all_close(y_above, y_below, {.absolute = 1e-4}));
}

TEST(ReluRouter, GradientsMatchFiniteDifferences) {
  torch::manual_seed(6);
  MoeLayer layer(small_options());
  layer->eval();  // the coefficient stays
  layer->to(torch::kFloat64);
  auto tokens = torch::randn({2, 7, 6}, torch::kFloat64).requires_grad_();
  const auto cotangent = torch::randn({2, 7, 6}, torch::kFloat64);
  std::vector<test::NamedLeaf> leaves{{"tokens", tokens}};
  for (const auto& parameter : layer->named_parameters()) {
    leaves.push_back({parameter.key(), parameter.value()});
  }
  const auto function = [&] {
    auto record = full_record();
    const auto y = layer->forward(tokens, &record);
    return (y * cotangent).sum() + record.scores.activation_l1;
  };
  EXPECT_TRUE(test::gradients_match(function, leaves, {.step = 1e-7, .tolerance = 1e-5}));
}

TEST(ReluRouter, HoldsTheWantedNumberOfExpertsAgainstATaskThatWantsMore) {
  auto options = small_options();
  options.dim = 16;
  options.moe.experts = 8;
  options.moe.sparse.l1_initial = 1e-3;
  torch::manual_seed(7);
  ReluRouter router(options);
  // Tokens have a common part, as those behind a LayerNorm with a bias have: without one no linear
  // map is negative for most of them.
  const auto tokens = torch::randn({4, 40, 16}) + 0.7;
  double active = 0.0;
  double largest_load = 0.0;
  for (int step = 0; step < 300; ++step) {
    auto record = full_record();
    router->route(tokens, {}, &record);
    router->zero_grad();
    const auto gates = tokens.matmul(router->weight.t()).relu();  // [batch, tokens, experts]
    // A task that likes every gate as open as can be.
    (record.scores.activation_l1 - 0.05 * gates.sum(-1).mean()).backward();
    const torch::NoGradGuard no_grad;
    router->weight -= 0.1 * router->weight.grad();
    if (step >= 200) {
      active += record.dispatch.sum(2).mean().item<double>() / 100.0;
      largest_load = std::max(largest_load, record.load.load.max().item<double>());
    }
  }
  EXPECT_NEAR(active, 2.0, 0.5);
  EXPECT_LT(largest_load, 0.4);
}

TEST(ReluRouter, CostsItsTargetOfExpertsAToken) {
  auto options = small_options();
  EXPECT_EQ(relu_router_cost(options).parameters, 30);
  EXPECT_EQ(relu_router_cost(options).multiply_adds, 7.0 * 30);
  EXPECT_EQ(relu_router_cost(options).expert_rows, 14.0);
  options.moe.sparse.top_k = 9;
  EXPECT_EQ(relu_router_cost(options).expert_rows, 35.0) << "no more experts than there are";
}

}  // namespace softmoe::relu_router_test
