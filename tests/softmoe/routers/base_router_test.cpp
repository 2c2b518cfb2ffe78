#include "softmoe/routers/base_router.h"

#include "io/npz.h"
#include "ops/initialization.h"
#include "support/gradient_check.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"

namespace softmoe::base_router_test {

using test::all_close;
using test::fixture;
using test::gradients_match;
using test::same_bits;
using test::Tolerance;

MoeLayerOptions options_of(int64_t dim, int64_t experts) {
  MoeLayerOptions options;
  options.dim = dim;
  options.hidden_dim = 4 * dim;
  options.moe.router = "base";
  options.moe.experts = experts;
  return options;
}

/// How many rows of each expert hold a token.
torch::Tensor loads(const Routed& routed) { return (routed.rows.token >= 0).sum(1); }

/// Output tokens with f_e(x) = x A_e, `matrices` [experts, dim, dim].
torch::Tensor outputs(BaseRouter& router, const torch::Tensor& tokens,
                      const torch::Tensor& matrices) {
  const auto routed = router->route(tokens, {}, nullptr);
  return router->combine(routed, routed.expert_inputs.bmm(matrices));
}

class BaseLayerParity : public testing::TestWithParam<std::string> {
 protected:
  static torch::Tensor at(const std::string& name) {
    static const auto arrays = read_npz(fixture("routers/base.npz"));
    return npz_array(arrays, "layer_" + name, "routers/base.npz");
  }
  static torch::Tensor of_mode(const std::string& name) { return at(GetParam() + "_" + name); }
  static BaseRouter router() {
    BaseRouter router(options_of(16, 4));
    router->to(torch::kFloat64);
    router->train(GetParam() == "train");
    const torch::NoGradGuard no_grad;
    router->weight.copy_(at("w"));
    return router;
  }
  /// The tokens as a batch of two images: they are assigned together.
  static torch::Tensor tokens() { return at("h").view({2, 16, 16}).clone(); }
};

TEST_P(BaseLayerParity, Assignment) {
  RoutingRecord record;
  router()->route(tokens(), {}, &record);
  EXPECT_TRUE(same_bits(record.dispatch.view({32, 4}).argmax(1), of_mode("token_to_expert")));
  EXPECT_EQ(record.dispatch.sum().item<double>(), 32.0);
}

TEST_P(BaseLayerParity, OutputsAndGradients) {
  auto layer = router();
  auto h = tokens().requires_grad_();
  auto matrices = at("A").clone().requires_grad_();
  const auto y = outputs(layer, h, matrices);
  EXPECT_TRUE(all_close(y.view({32, 16}), of_mode("y")));
  (y.square().sum() / 32.0).backward();
  EXPECT_TRUE(all_close(h.grad().view({32, 16}), of_mode("grad_h")));
  EXPECT_TRUE(all_close(layer->weight.grad(), of_mode("grad_w")));
  EXPECT_TRUE(all_close(matrices.grad(), of_mode("grad_A")));
}

INSTANTIATE_TEST_SUITE_P(Modes, BaseLayerParity, testing::Values("train", "eval"),
                         [](const auto& entry) { return entry.param; });

TEST(BaseLayerParityModes, Differ) {
  const auto arrays = read_npz(fixture("routers/base.npz"));
  EXPECT_FALSE(
      same_bits(arrays.at("layer_train_token_to_expert"), arrays.at("layer_eval_token_to_expert")));
}

struct SmallLayer {
  explicit SmallLayer(int64_t experts, int64_t group_images = 0) {
    torch::manual_seed(5);
    auto options = options_of(6, experts);
    options.moe.sparse.group_images = group_images;
    router = BaseRouter(options);
    router->to(torch::kFloat64);
    matrices = torch::randn({experts, 6, 6}, torch::kFloat64);
    tokens = torch::randn({3, 5, 6}, torch::kFloat64);
  }
  BaseRouter router{nullptr};
  torch::Tensor matrices;
  torch::Tensor tokens;  // [batch, tokens, dim]
};

TEST(BaseRouter, TrainingLoadsDifferByAtMostOne) {
  for (const int64_t experts : {1, 4, 5, 15, 22}) {
    SmallLayer layer(experts);
    const auto load = loads(layer.router->route(layer.tokens, {}, nullptr));
    EXPECT_EQ(load.sum().item<int64_t>(), 15) << experts;
    EXPECT_LE((load.max() - load.min()).item<int64_t>(), 1) << experts;
  }
}

TEST(BaseRouter, GroupsAreAssignedSeparately) {
  SmallLayer layer(5, /*group_images=*/1);
  RoutingRecord record;
  layer.router->route(layer.tokens, {}, &record);
  EXPECT_TRUE(same_bits(record.dispatch.sum(1), torch::ones({3, 5, 1})));
  SmallLayer together(5);
  together.router->route(layer.tokens, {}, &record);
  EXPECT_TRUE(same_bits(record.dispatch.sum({0, 1}), torch::full({5, 1}, 3.0F)));
  EXPECT_FALSE(same_bits(record.dispatch.sum(1), torch::ones({3, 5, 1})));
}

TEST(BaseRouter, EvaluationHasNoLimit) {
  SmallLayer layer(4);
  layer.router->eval();
  const auto token = layer.tokens[0][0];
  const auto same = token.expand({3, 5, 6}).contiguous();  // [batch, tokens, dim]
  const auto best = layer.router->weight.mv(token).argmax().item<int64_t>();
  const auto load = loads(layer.router->route(same, {}, nullptr));
  EXPECT_EQ(load[best].item<int64_t>(), 15);
  EXPECT_EQ(load.sum().item<int64_t>(), 15);
}

TEST(BaseRouter, TheModeIsTheModulesWhetherGradientsAreOnOrNot) {
  SmallLayer layer(4);
  const auto run = [&] { return outputs(layer.router, layer.tokens, layer.matrices).detach(); };
  const auto training = run();
  {
    const torch::NoGradGuard no_grad;
    EXPECT_TRUE(same_bits(run(), training));
  }
  layer.router->eval();
  const auto evaluation = run();
  EXPECT_FALSE(all_close(evaluation, training, Tolerance{.absolute = 1e-3}));
  const torch::NoGradGuard no_grad;
  EXPECT_TRUE(same_bits(run(), evaluation));
}

TEST(BaseRouter, MixesEachTokenWithItsExpertsOutput) {
  SmallLayer layer(4);
  RoutingRecord record;
  const auto routed = layer.router->route(layer.tokens, {}, &record);
  const auto y = layer.router->combine(routed, routed.expert_inputs.bmm(layer.matrices));
  const auto expert = record.dispatch.squeeze(3).argmax(2);  // [batch, tokens]
  for (int64_t image = 0; image < 3; ++image) {
    for (int64_t token = 0; token < 5; ++token) {
      const auto x = layer.tokens[image][token];
      const auto e = expert[image][token].item<int64_t>();
      const auto share = x.dot(layer.router->weight[e]).sigmoid();
      EXPECT_TRUE(
          all_close(y[image][token], share * x.matmul(layer.matrices[e]) + (1 - share) * x));
      EXPECT_NEAR(record.combine[image][token][e][0].item<double>(), share.item<double>(), 1e-6);
    }
  }
}

TEST(BaseRouter, GradientsFlowThroughShareAndExpertsOnly) {
  // Differences of the outputs see no change of the assignment either.
  for (const bool training : {true, false}) {
    SmallLayer layer(4);
    layer.router->train(training);
    layer.tokens.requires_grad_();
    layer.matrices.requires_grad_();
    const auto loss = [&] {
      return outputs(layer.router, layer.tokens, layer.matrices).square().sum();
    };
    EXPECT_TRUE(gradients_match(loss, {{"tokens", layer.tokens},
                                       {"weight", layer.router->weight},
                                       {"matrices", layer.matrices}}));
  }
}

TEST(BaseRouter, GivesLossesItsScores) {
  SmallLayer layer(4, /*group_images=*/1);
  RoutingRecord record;
  record.wants = {.weights = false, .scores = true, .load = true};
  layer.router->route(layer.tokens, {}, &record);
  EXPECT_TRUE(all_close(record.scores.logits, layer.tokens.matmul(layer.router->weight.t())));
  EXPECT_TRUE(record.scores.logits.requires_grad());
  EXPECT_FALSE(record.dispatch.defined());
  EXPECT_NEAR(record.load.load.sum().item<double>(), 1.0, 1e-6);
  EXPECT_EQ(record.load.dropped.item<double>(), 0.0);
}

TEST(BaseRouter, CentroidsStartOrthogonalAndShort) {
  torch::manual_seed(6);
  const auto few = BaseRouter(options_of(16, 5))->weight.detach();  // [experts, dim]
  EXPECT_TRUE(all_close(few.mm(few.t()), 0.01 * torch::eye(5), Tolerance{.absolute = 1e-7}));
  const auto many = BaseRouter(options_of(5, 16))->weight.detach();
  EXPECT_TRUE(all_close(many.t().mm(many), 0.01 * torch::eye(5), Tolerance{.absolute = 1e-7}));
  const SkipInitialization skip;
  auto kept = torch::full({3, 4}, 7.0F);
  init_orthogonal(kept, 1.0);
  EXPECT_TRUE(same_bits(kept, torch::full({3, 4}, 7.0F)));
}

TEST(BalancedExperts, AssignEachGroupAlone) {
  torch::manual_seed(7);
  const auto scores = torch::randn({3, 12, 4});
  const auto together = balanced_experts(scores);  // [groups, tokens]
  for (int64_t group = 0; group < 3; ++group) {
    EXPECT_TRUE(same_bits(together[group], balanced_experts(scores.narrow(0, group, 1))[0]));
    EXPECT_TRUE(same_bits(together[group].bincount(), torch::full({4}, 3, torch::kInt64)));
  }
  EXPECT_THROW(balanced_experts(scores[0]), c10::ValueError);
}

}  // namespace softmoe::base_router_test
