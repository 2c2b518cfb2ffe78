/// Experts choice against google-research/vmoe, and what it promises beyond it.

#include "softmoe/routers/experts_choice_router.h"

#include "softmoe/router_losses.h"
#include "softmoe/routers/small_layers.h"
#include "softmoe/routers/sparse_case.h"

namespace softmoe::experts_choice_router_test {

using test::all_close;
using test::same_bits;
using test::SparseCase;

struct Setting {
  const char* name;
  double capacity_factor;
  bool rounds = false;  ///< to bf16, as vmoe's Bfloat16Dispatcher
};

void PrintTo(const Setting& setting, std::ostream* out) { *out << setting.name; }

class ExpertsChoiceParity : public testing::TestWithParam<Setting> {
 protected:
  MoeLayerOptions options() const {
    auto options = reference_.options();
    options.moe.capacity_factor = GetParam().capacity_factor;
    options.moe.sparse.group_images = 0;  // one image by itself
    options.moe.dispatch_dtype = GetParam().rounds ? Precision::kBFloat16 : Precision::kFloat32;
    return options;
  }

  SparseCase reference_{"experts_choice", GetParam().name};
};

TEST_P(ExpertsChoiceParity, OfTheChoice) {
  const auto x = reference_.shared("x");
  auto layer = reference_.layer(options());
  const auto logits = router_logits(x, layer->named_parameters()["router.weight"]).detach();
  EXPECT_TRUE(all_close(logits, reference_.shared("logits")));
  const auto chosen = top_gates_of_experts(logits, reference_.capacity());
  const auto rows = rows_of_chosen_tokens(chosen, x.size(1), x.size(0));
  const auto dispatch = reference_.dense(rows, torch::ones_like(rows.token).to(torch::kUInt8));
  EXPECT_TRUE(same_bits(dispatch, reference_.at("dispatch_weights")));
  EXPECT_TRUE(all_close(reference_.dense(rows, rows.gate), reference_.at("combine_weights")));
  const auto metric = [&](const std::string& name) { return reference_.at("metrics/" + name); };
  EXPECT_TRUE(all_close(chosen.gate.amin({1, 2}), metric("min_selected_gate")));
  EXPECT_TRUE(all_close(chosen.gate.amax({1, 2}), metric("max_selected_gate")));
  const auto experts = dispatch.to(torch::kInt32).sum({2, 3}, false, torch::kInt32);
  EXPECT_TRUE(same_bits(experts.amin(1), metric("num_experts_per_item_min")));
  EXPECT_TRUE(same_bits(experts.amax(1), metric("num_experts_per_item_max")));
  for (const int64_t count : {1, 2, 4}) {
    EXPECT_TRUE(all_close(
        (experts >= count).to(torch::kFloat32).mean(1),
        metric("ratio_processed_items_by_at_least_" + std::to_string(count) + "_experts")));
  }
}

TEST_P(ExpertsChoiceParity, OfTheLayer) {
  auto layer = reference_.layer(options());
  auto x = reference_.shared("x").clone().requires_grad_();
  auto record = test::full_record();
  const auto y = layer->forward(x, &record);
  reference_.expect_outputs(y, record, GetParam().rounds);
  EXPECT_TRUE(all_close(record.scores.logits, reference_.shared("logits")));
  EXPECT_TRUE(all_close(record.load.load, torch::full({4}, 0.25)));
  const auto processed = reference_.at("metrics/ratio_processed_items_by_at_least_1_experts");
  EXPECT_TRUE(all_close(record.load.dropped, 1 - processed.mean()));
  (y * reference_.shared("grad_y")).sum().backward();
  reference_.expect_gradients(layer, x, GetParam().rounds);
}

INSTANTIATE_TEST_SUITE_P(Cases, ExpertsChoiceParity,
                         testing::Values(Setting{"cf1", 1.0}, Setting{"cf2", 2.0},
                                         Setting{"cf1_bf16", 1.0, true}),
                         [](const auto& entry) { return std::string(entry.param.name); });

constexpr int64_t kBatch = 4;
constexpr int64_t kTokens = 13;
constexpr int64_t kDim = 9;
constexpr int64_t kExperts = 5;

MoeLayerOptions layer_options(double capacity_factor = 1.0) {
  MoeLayerOptions options;
  options.dim = kDim;
  options.hidden_dim = 11;
  options.tokens = kTokens;
  options.moe.router = "experts_choice";
  options.moe.experts = kExperts;
  options.moe.capacity_factor = capacity_factor;
  return options;
}

TEST(ExpertsChoice, RoundsCapacitiesAsAsked) {
  const auto rows = [](CapacityRounding rounding, int64_t multiple) {
    auto options = layer_options(0.9);  // 13 * 0.9 / 5 = 2.34
    options.moe.sparse.capacity_rounding = rounding;
    options.moe.sparse.capacity_multiple = multiple;
    MoeLayer layer(options);
    auto record = test::full_record();
    layer->forward(torch::randn({1, kTokens, kDim}), &record);
    return record.dispatch.sum().item<double>() / static_cast<double>(kExperts);
  };
  EXPECT_EQ(rows(CapacityRounding::kUsual, 0), 2);
  EXPECT_EQ(rows(CapacityRounding::kNearest, 0), 2);
  EXPECT_EQ(rows(CapacityRounding::kUp, 0), 3);
  EXPECT_EQ(rows(CapacityRounding::kUp, 4), 4);  // as vmoe's default
}

MoeLayer seeded_layer(const MoeLayerOptions& options) {
  torch::manual_seed(41);
  return MoeLayer(options);
}

torch::Tensor seeded_tokens(int64_t batch = kBatch) {
  torch::manual_seed(42);
  return torch::randn({batch, kTokens, kDim});
}

torch::Tensor dispatch_of(const MoeLayerOptions& options, const torch::Tensor& tokens) {
  RoutingRecord record;
  seeded_layer(options)->forward(tokens, &record);
  return record.dispatch.squeeze(-1);  // [batch, tokens, experts]
}

TEST(ExpertsChoice, GivesEachExpertExactlyItsCapacityOfEachImage) {
  for (const auto& [factor, capacity] : {std::pair{1.0, 3.0F}, {2.0, 5.0F}, {0.01, 1.0F}}) {
    const auto dispatch = dispatch_of(layer_options(factor), seeded_tokens());
    EXPECT_TRUE(same_bits(dispatch.sum(1), torch::full({kBatch, kExperts}, capacity)));
    EXPECT_TRUE(same_bits(dispatch.sum({1, 2}), torch::full({kBatch}, capacity * kExperts)));
  }
}

TEST(ExpertsChoice, TakesNoMoreTokensThanAGroupHas) {
  for (const double factor : {5.0, 1e300}) {
    const auto dispatch = dispatch_of(layer_options(factor), seeded_tokens());
    EXPECT_TRUE(same_bits(dispatch, torch::ones({kBatch, kTokens, kExperts})));
  }
}

TEST(ExpertsChoice, TakesMultiplesOfTokensWhereAsked) {
  auto options = layer_options();
  options.moe.sparse.capacity_multiple = 4;
  EXPECT_EQ(dispatch_of(options, seeded_tokens()).sum(1).max().item<float>(), 4.0F);
}

TEST(ExpertsChoice, OfAllExpertsForAllTokensIsTheSumOfGateTimesExpert) {
  auto layer = seeded_layer(layer_options(kExperts));
  const auto tokens = seeded_tokens();
  const auto all =
      layer->experts(tokens.flatten(0, 1).expand({kExperts, kBatch * kTokens, kDim}).contiguous());
  const auto gates =
      tokens.flatten(0, 1).matmul(layer->named_parameters()["router.weight"].t()).softmax(-1);
  const auto expected = (gates.t().unsqueeze(2) * all).sum(0).view({kBatch, kTokens, kDim});
  EXPECT_TRUE(all_close(layer->forward(tokens), expected));
}

TEST(ExpertsChoice, IsEquivariantToThePermutationOfTokens) {
  auto layer = seeded_layer(layer_options());
  const auto tokens = seeded_tokens();
  const auto order = torch::randperm(kTokens, torch::kInt64);
  EXPECT_FALSE(same_bits(order, torch::arange(kTokens, torch::kInt64)));
  EXPECT_TRUE(all_close(layer->forward(tokens.index_select(1, order)),
                        layer->forward(tokens).index_select(1, order)));
}

TEST(ExpertsChoice, DoesNotMixImagesUnlessAsked) {
  auto options = layer_options(0.6);
  auto tokens = seeded_tokens();
  auto changed = tokens.clone();
  changed[0] *= 3;
  const auto last_image = [&](int64_t group_images, const torch::Tensor& x) {
    options.moe.sparse.group_images = group_images;
    return seeded_layer(options)->forward(x)[1].detach();
  };
  EXPECT_TRUE(all_close(last_image(0, tokens), last_image(0, changed)));
  EXPECT_TRUE(same_bits(last_image(0, tokens), last_image(1, tokens)));
  EXPECT_FALSE(all_close(last_image(2, tokens), last_image(2, changed)));
  // Groups are neighbours: the third image does not reach the first two.
  changed = tokens.clone();
  changed[2] *= 3;
  EXPECT_TRUE(all_close(last_image(2, tokens), last_image(2, changed)));
}

TEST(ExpertsChoice, OfSeveralImagesGivesEachExpertItsCapacityOfTheGroup) {
  auto options = layer_options(1.0);
  options.moe.sparse.group_images = 2;  // round(26 / 5)
  const auto dispatch = dispatch_of(options, seeded_tokens());
  EXPECT_TRUE(same_bits(dispatch.view({2, 2 * kTokens, kExperts}).sum(1),
                        torch::full({2, kExperts}, 5.0F)));
}

TEST(ExpertsChoice, RenormalizedGatesOfATokenSumToOne) {
  auto options = layer_options(2.0);
  options.moe.sparse.renormalize_gates = true;
  auto layer = seeded_layer(options);
  RoutingRecord record;
  auto tokens = seeded_tokens();
  layer->forward(tokens, &record).square().sum().backward();
  const auto sums = record.combine.sum({2, 3});  // [batch, tokens]
  const auto reached = (record.dispatch.sum({2, 3}) > 0).to(torch::kFloat32);
  EXPECT_TRUE(all_close(sums, reached));
  EXPECT_GT(layer->named_parameters()["router.weight"].grad().abs().max().item<float>(), 1e-4F);
  RoutingRecord plain;
  seeded_layer(layer_options(2.0))->forward(tokens, &plain);
  EXPECT_TRUE(same_bits(record.dispatch, plain.dispatch));
}

TEST(ExpertsChoice, NoiseChangesTheChoiceInTrainingAlone) {
  auto options = layer_options();
  const auto tokens = seeded_tokens();
  const auto quiet = dispatch_of(options, tokens);
  options.moe.router_noise = 10;
  EXPECT_FALSE(same_bits(dispatch_of(options, tokens), quiet));
  auto layer = seeded_layer(options);
  layer->eval();
  RoutingRecord record{.wants = {.weights = true, .scores = true}};
  layer->forward(tokens, &record);
  EXPECT_TRUE(same_bits(record.dispatch.squeeze(-1), quiet));
  // Whether an expert is among a token's top K is no question here.
  layer->train();
  layer->forward(tokens, &record);
  EXPECT_FALSE(record.scores.noisy_logits.defined());
}

TEST(ExpertsChoice, HasACapacityOfItsOwnInEvaluation) {
  auto options = layer_options(1.0);
  options.moe.sparse.eval_capacity_factor = 2.0;
  auto layer = seeded_layer(options);
  RoutingRecord record;
  layer->forward(seeded_tokens(), &record);
  EXPECT_EQ(record.dispatch.sum(1).max().item<float>(), 3.0F);
  layer->eval();
  layer->forward(seeded_tokens(), &record);
  EXPECT_EQ(record.dispatch.sum(1).max().item<float>(), 5.0F);
}

TEST(ExpertsChoice, IsTrainedWithoutALossOfItsOwn) {
  EXPECT_FALSE(default_router_losses(router_row("experts_choice")).any());
}

TEST(ExpertsChoice, CostsItsMatrixAndTheRowsOfItsExperts) {
  auto options = layer_options();
  EXPECT_EQ(experts_choice_cost(options).parameters, kDim * kExperts);
  EXPECT_EQ(experts_choice_cost(options).multiply_adds, kTokens * kDim * kExperts);
  EXPECT_NEAR(experts_choice_cost(options).expert_rows, 3.0 * kExperts, 1e-9);
  options.moe.sparse.eval_capacity_factor = 2.0;
  EXPECT_NEAR(experts_choice_cost(options).expert_rows, 5.0 * kExperts, 1e-9);
  options.moe.sparse.group_images = 4;  // round(52 x 2 / 5) = 21 rows of four images
  EXPECT_NEAR(experts_choice_cost(options).expert_rows, 21.0 * kExperts / 4, 1e-9);
}

TEST(ExpertsChoice, TakesHostileSizes) {
  for (const auto& [batch, tokens, experts] :
       {std::tuple{1, 1, 1}, {1, 1, 600}, {2, 3, 4096}, {1, 700, 2}}) {
    for (const double factor : {1e-300, 1.0, 1e300}) {
      auto options = layer_options(factor);
      options.moe.experts = experts;
      options.moe.sparse.capacity_multiple = factor > 1 ? int64_t{1} << 62 : 0;
      options.dim = 2;
      options.hidden_dim = 3;
      auto layer = seeded_layer(options);
      const auto y = layer->forward(torch::randn({batch, tokens, 2}));
      y.sum().backward();
      EXPECT_EQ(y.sizes(), (std::vector<int64_t>{batch, tokens, 2}));
      EXPECT_TRUE(y.isfinite().all().item<bool>());
    }
  }
  ExpertsChoiceRouter router(layer_options());
  EXPECT_THROW(router->route(torch::zeros({0, kTokens, kDim}), {}, nullptr), c10::ValueError);
  EXPECT_THROW(router->route(torch::zeros({2, 0, kDim}), {}, nullptr), c10::ValueError);
}

TEST(ExpertsChoice, PassesOnWhatIsNotANumber) {
  auto layer = seeded_layer(layer_options());
  for (const float value : {std::nanf(""), std::numeric_limits<float>::infinity(), 1e30F}) {
    auto tokens = seeded_tokens();
    tokens[1].fill_(value);
    EXPECT_EQ(layer->forward(tokens).sizes(), tokens.sizes()) << value;
  }
}

}  // namespace softmoe::experts_choice_router_test
