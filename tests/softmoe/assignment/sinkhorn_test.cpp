#include "softmoe/assignment/sinkhorn.h"

#include "io/npz.h"
#include "softmoe/assignment/top_indices.h"
#include "softmoe/routers/sinkhorn_router.h"
#include "support/gradient_check.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"

namespace softmoe::sinkhorn_test {

using test::all_close;
using test::fixture;
using test::gradients_match;
using test::same_bits;
using test::Tolerance;

/// As many iterations as given.
SinkhornOptions exactly(int64_t iterations, double temperature = 1.0) {
  return {.temperature = temperature, .tolerance = 0.0, .iterations = iterations};
}

class SinkhornParity : public testing::TestWithParam<int> {
 protected:
  static torch::Tensor at(const std::string& name, const std::string& suffix = "") {
    static const auto arrays = read_npz(fixture("routers/sinkhorn.npz"));
    return npz_array(arrays, name + "_" + std::to_string(GetParam()) + suffix,
                     "routers/sinkhorn.npz");
  }
  /// [1, tokens, experts]
  torch::Tensor logits_ = at("logits").unsqueeze(0);
  double temperature_ = at("temperature").item<double>();
};

TEST_P(SinkhornParity, PlansAfterAnyNumberOfIterations) {
  const double share = static_cast<double>(logits_.size(1)) / static_cast<double>(logits_.size(2));
  for (const int64_t iterations : {1, 3, 8, 1000}) {
    const auto suffix = "_iters" + std::to_string(iterations);
    const auto result = sinkhorn_plan(logits_, exactly(iterations, temperature_));
    EXPECT_TRUE(all_close(result.plan[0], at("plan", suffix), Tolerance{.absolute = 1e-11}));
    EXPECT_NEAR(result.error * share, at("colsum_err", suffix).item<double>(), 1e-10);
    if (iterations <= 8) {
      EXPECT_EQ(result.iterations, iterations);
      EXPECT_TRUE(all_close(sinkhorn_unrolled(logits_, temperature_, iterations)[0],
                            at("plan", suffix), Tolerance{.absolute = 1e-11}));
    }
  }
}

TEST_P(SinkhornParity, PlansInSinglePrecision) {
  for (const int64_t iterations : {1, 8}) {
    const auto suffix = "_iters" + std::to_string(iterations);
    const auto result =
        sinkhorn_plan(logits_.to(torch::kFloat32), exactly(iterations, temperature_));
    EXPECT_EQ(result.plan.scalar_type(), torch::kFloat32);
    EXPECT_TRUE(all_close(result.plan[0].to(torch::kFloat64), at("plan", suffix),
                          Tolerance{.absolute = 1e-5 / temperature_}));
  }
}

TEST_P(SinkhornParity, Selections) {
  const auto plan = sinkhorn_plan(logits_, exactly(1000, temperature_)).plan;
  EXPECT_TRUE(same_bits(top_indices(plan, 1)[0].squeeze(1), at("argmax_expert")));
  const auto expected = at("topC_tokens");  // [experts, tokens]
  const auto tokens = top_indices(plan.transpose(1, 2), expected.size(1))[0];
  EXPECT_TRUE(same_bits(std::get<0>(tokens.sort(1)), std::get<0>(expected.sort(1))));
}

TEST_P(SinkhornParity, GradientsThroughAllIterations) {
  auto logits = logits_.clone().requires_grad_();
  (sinkhorn_unrolled(logits, temperature_, 8)[0] * at("unrolled8_cotangent")).sum().backward();
  const auto expected = at("unrolled8_grad");
  EXPECT_TRUE(all_close(logits.grad()[0], expected, Tolerance{.relative = 1e-11}));
}

INSTANTIATE_TEST_SUITE_P(Cases, SinkhornParity, testing::Range(0, 4),
                         [](const auto& entry) { return "Case" + std::to_string(entry.param); });

/// Pairwise distinct sizes: groups 2, tokens 15, experts 4.
torch::Tensor seeded_logits() {
  torch::manual_seed(21);
  return torch::randn({2, 15, 4}, torch::kFloat64) * 3;
}

TEST(Sinkhorn, PlansHaveTheirMarginals) {
  const auto result = sinkhorn_plan(seeded_logits(), {.tolerance = 1e-9, .iterations = 1000});
  EXPECT_TRUE(all_close(result.plan.sum(2), torch::ones({2, 15}, torch::kFloat64)));
  EXPECT_TRUE(all_close(result.plan.sum(1), torch::full({2, 4}, 15.0 / 4.0, torch::kFloat64),
                        Tolerance{.absolute = 1e-8}));
  EXPECT_FALSE(result.plan.requires_grad());
}

TEST(Sinkhorn, StopsAtTheTolerance) {
  const auto logits = seeded_logits();
  const auto result = sinkhorn_plan(logits, {.tolerance = 1e-3});
  EXPECT_LE(result.error, 1e-3);
  EXPECT_GT(result.iterations, 2);
  EXPECT_LT(result.iterations, 100);
  EXPECT_GT(sinkhorn_plan(logits, exactly(result.iterations - 1)).error, 1e-3);
  const auto error = (result.plan.sum(1) * 4.0 / 15.0 - 1.0).abs().max().item<double>();
  EXPECT_NEAR(result.error, error, 1e-12);
}

TEST(Sinkhorn, StopsAtTheCap) {
  const auto result =
      sinkhorn_plan(seeded_logits(), {.temperature = 0.02, .tolerance = 1e-3, .iterations = 4});
  EXPECT_EQ(result.iterations, 4);
  EXPECT_GT(result.error, 1e-3);
}

TEST(Sinkhorn, ForgetsWhatATokenOrAnExpertAddsToItsLogits) {
  const auto logits = seeded_logits();
  const auto shifted = logits + torch::randn({2, 15, 1}, torch::kFloat64) * 5 +
                       torch::randn({2, 1, 4}, torch::kFloat64) * 5;
  const SinkhornOptions options{.tolerance = 1e-13, .iterations = 2000};
  EXPECT_TRUE(all_close(sinkhorn_plan(shifted, options).plan, sinkhorn_plan(logits, options).plan,
                        Tolerance{.absolute = 1e-11}));
}

TEST(Sinkhorn, GroupsDoNotSeeEachOther) {
  const auto logits = seeded_logits();
  const auto plan = sinkhorn_plan(logits, exactly(9)).plan;
  EXPECT_TRUE(all_close(sinkhorn_plan(logits.narrow(0, 1, 1), exactly(9)).plan[0], plan[1]));
}

TEST(Sinkhorn, PlansForAnExpertThatNoTokenComesNearTo) {
  // Its probabilities are zeros in either precision.
  for (const auto dtype : {torch::kFloat32, torch::kFloat64}) {
    auto logits = seeded_logits();
    logits.select(2, 1).sub_(torch::linspace(2e3, 4e3, 15, torch::kFloat64));
    const auto expected = sinkhorn_unrolled(logits, 0.5, 6);
    const auto result = sinkhorn_plan(logits.to(dtype), exactly(6, 0.5));
    EXPECT_TRUE(all_close(result.plan.to(torch::kFloat64), expected,
                          Tolerance{.absolute = dtype == torch::kFloat32 ? 1e-2 : 1e-10}));
    EXPECT_TRUE(result.plan.isfinite().all().item<bool>());
    EXPECT_TRUE(all_close(result.plan.sum(2).to(torch::kFloat64),
                          torch::ones({2, 15}, torch::kFloat64), Tolerance{.absolute = 1e-5}));
  }
}

TEST(Sinkhorn, RefusesSizesThatMakeNoSense) {
  const auto logits = seeded_logits();
  EXPECT_THROW(sinkhorn_plan(logits[0], {}), c10::ValueError);
  EXPECT_THROW(sinkhorn_plan(logits, {.temperature = 0.0}), c10::ValueError);
  EXPECT_THROW(sinkhorn_plan(logits, {.iterations = 0}), c10::ValueError);
}

TEST(Sinkhorn, EqualLoadsAreRoundedUp) {
  EXPECT_EQ(equal_load(/*tokens=*/15, /*choices=*/1, /*experts=*/5), 3);
  EXPECT_EQ(equal_load(16, 1, 5), 4);
  EXPECT_EQ(equal_load(15, 2, 4), 8);
  EXPECT_EQ(equal_load(3, 1, 7), 1);
}

MoeLayerOptions options_of(int64_t experts, int64_t top_k = 1) {
  MoeLayerOptions options;
  options.dim = 6;
  options.hidden_dim = 24;
  options.moe.router = "sinkhorn";
  options.moe.experts = experts;
  options.moe.sparse.top_k = top_k;
  return options;
}

struct SmallLayer {
  explicit SmallLayer(const MoeLayerOptions& options) {
    torch::manual_seed(22);
    router = SinkhornRouter(options);
    router->to(torch::kFloat64);
    matrices = torch::randn({options.moe.experts, 6, 6}, torch::kFloat64);
    tokens = torch::randn({3, 5, 6}, torch::kFloat64);
    // Something in all tokens that one expert likes best.
    tokens.select(2, 0).add_(4.0);
    const torch::NoGradGuard no_grad;
    router->weight[options.moe.experts - 1][0] += 3.0;
  }
  Routed route(RoutingRecord* record = nullptr) { return router->route(tokens, {}, record); }
  /// With f_e(x) = x A_e.
  torch::Tensor outputs(RoutingRecord* record = nullptr) {
    const auto routed = route(record);
    return router->combine(routed, routed.expert_inputs.bmm(matrices));
  }
  torch::Tensor loads() { return (route().rows.token >= 0).sum(1); }
  torch::Tensor logits() const { return tokens.matmul(router->weight.detach().t()); }

  SinkhornRouter router{nullptr};
  torch::Tensor matrices;
  torch::Tensor tokens;  // [batch, tokens, dim]
};

std::vector<MoeLayerOptions> all_options() {
  std::vector<MoeLayerOptions> all;
  for (const int64_t top_k : {1, 2}) {
    for (const auto selection : {PlanSelection::kArgmax, PlanSelection::kExact}) {
      all.push_back(options_of(4, top_k));
      all.back().moe.sparse.plan_selection = selection;
    }
  }
  return all;
}

TEST(SinkhornRouter, TrainingSpreadsTokensThatAgree) {
  SmallLayer layer(options_of(4));
  EXPECT_LE(layer.loads().max().item<int64_t>(), 7);
  EXPECT_GE(layer.loads().min().item<int64_t>(), 1);
  EXPECT_EQ(layer.loads().sum().item<int64_t>(), 15);
}

TEST(SinkhornRouter, TakesTheBestExpertsOfThePlan) {
  for (const int64_t top_k : {1, 2}) {
    SmallLayer layer(options_of(4, top_k));
    RoutingRecord record;
    layer.route(&record);
    const auto plan = sinkhorn_plan(layer.logits().view({1, 15, 4}), {}).plan.view({3, 5, 4});
    const auto expected = torch::zeros({3, 5, 4}).scatter(2, top_indices(plan, top_k), 1.0);
    EXPECT_TRUE(same_bits(record.dispatch.squeeze(3), expected));
  }
}

TEST(SinkhornRouter, ExactSelectionGivesEqualLoads) {
  for (const int64_t top_k : {1, 2}) {
    for (const int64_t experts : {1, 3, 4, 22}) {
      auto options = options_of(experts, top_k);
      options.moe.sparse.plan_selection = PlanSelection::kExact;
      SmallLayer layer(options);
      const int64_t load = equal_load(15, std::min(top_k, experts), experts);
      EXPECT_TRUE(same_bits(layer.loads(), torch::full({experts}, load, torch::kInt64)));
    }
  }
}

TEST(SinkhornRouter, ExactSelectionTakesTheBestTokensOfEachGroup) {
  auto options = options_of(4);
  options.moe.sparse.plan_selection = PlanSelection::kExact;
  options.moe.sparse.group_images = 1;
  SmallLayer layer(options);
  RoutingRecord record;
  layer.route(&record);
  const auto plan = sinkhorn_plan(layer.logits(), {}).plan;  // [groups, tokens, experts]
  const auto best = top_indices(plan.transpose(1, 2), 2);    // [groups, experts, 2]
  const auto expected = torch::zeros({3, 4, 5}).scatter(2, best, 1.0).transpose(1, 2);
  EXPECT_TRUE(same_bits(record.dispatch.squeeze(3), expected.contiguous()));
}

TEST(SinkhornRouter, EvaluationTakesTheHighestLogitsWithoutLimit) {
  for (const auto& options : all_options()) {
    SmallLayer layer(options);
    layer.router->eval();
    const auto best = top_indices(layer.logits(), options.moe.sparse.top_k);
    EXPECT_EQ(layer.loads()[3].item<int64_t>(), 15);
    RoutingRecord record;
    layer.route(&record);
    EXPECT_TRUE(
        same_bits(record.dispatch.squeeze(3), torch::zeros({3, 5, 4}).scatter(2, best, 1.0)));
  }
}

TEST(SinkhornRouter, OutputsAreWeightedByTheRawLogits) {
  for (const auto& options : all_options()) {
    for (const bool training : {true, false}) {
      SmallLayer layer(options);
      layer.router->train(training);
      RoutingRecord record;
      const auto y = layer.outputs(&record);
      const auto logits = layer.logits();  // [batch, tokens, experts]
      const auto gates = options.moe.sparse.top_k == 1 ? logits.sigmoid() : logits.softmax(2);
      const auto weights = gates * record.dispatch.squeeze(3);  // [batch, tokens, experts]
      const auto each = torch::einsum("btd,edf->btef", {layer.tokens, layer.matrices});
      EXPECT_TRUE(all_close(y, (weights.unsqueeze(3) * each).sum(2)));
      EXPECT_TRUE(all_close(record.combine.squeeze(3), weights.to(torch::kFloat32)));
    }
  }
}

TEST(SinkhornRouter, GradientsFlowThroughGatesAndExpertsOnly) {
  // Differences of the outputs see no change of the plan either.
  for (const auto& options : all_options()) {
    SmallLayer layer(options);
    {
      const torch::NoGradGuard no_grad;
      layer.router->weight.mul_(0.1);  // gates far from 0 and 1
    }
    layer.tokens.requires_grad_();
    layer.matrices.requires_grad_();
    EXPECT_TRUE(gradients_match([&] { return layer.outputs().square().sum(); },
                                {{"tokens", layer.tokens},
                                 {"weight", layer.router->weight},
                                 {"matrices", layer.matrices}}));
  }
}

TEST(SinkhornRouter, GivesLossesItsLogits) {
  auto options = options_of(4, 2);
  options.moe.sparse.group_images = 3;
  SmallLayer layer(options);
  RoutingRecord record;
  record.wants = {.weights = false, .scores = true, .load = true};
  layer.route(&record);
  EXPECT_TRUE(all_close(record.scores.logits, layer.logits().view({1, 15, 4})));
  EXPECT_TRUE(record.scores.logits.requires_grad());
  EXPECT_EQ(record.scores.top_k, 2);
  EXPECT_EQ(record.load.dropped.item<double>(), 0.0);
  EXPECT_GT(record.load.entropy.item<double>(), 0.0);
}

}  // namespace softmoe::sinkhorn_test
