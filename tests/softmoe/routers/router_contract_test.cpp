/// What every row of the registry of routers must keep to: a new router is tested from its first
/// day.

#include "runtime/autocast_guard.h"
#include "runtime/device.h"
#include "softmoe/router_losses.h"
#include "softmoe/routers/router_cases.h"
#include "support/tensor_matcher.h"

namespace softmoe::router_contract_test {

using test::all_close;
using test::full_record;
using test::same_bits;
using test::Tolerance;
using namespace test::any_router;  // NOLINT: layers of any router

class RouterContract : public testing::TestWithParam<std::string> {
 protected:
  const RouterRow& row() const { return router_row(GetParam()); }

  /// Whether outputs in another precision, or on another device, must be close to those in fp32 on
  /// the CPU: not where rounding, or the device's own numbers, may send a token elsewhere.
  bool is_comparable(const torch::Device& device, const std::string& precision,
                     bool training) const {
    const bool mixes = row().kind != RoutingKind::kSparse;
    return mixes || (precision != "bfloat16" && (device.is_cpu() || !training));
  }

  void expect_gradients(const torch::Tensor& tokens, MoeLayer& layer) const {
    EXPECT_TRUE(tokens.grad().isfinite().all().item<bool>());
    for (const auto& parameter : layer->named_parameters()) {
      ASSERT_TRUE(parameter.value().grad().defined()) << parameter.key();
      EXPECT_TRUE(parameter.value().grad().isfinite().all().item<bool>()) << parameter.key();
    }
  }

  void expect_forward_and_backward(const MoeLayerOptions& options, const torch::Device& device,
                                   const std::string& precision, bool training, int64_t batch) {
    SCOPED_TRACE(size_text(options) + ", " + precision + ", batch " + std::to_string(batch) +
                 (training ? ", training" : ", evaluation"));
    auto plain = seeded_layer(options);
    plain->train(training);
    const auto reference = seeded_forward(plain, seeded_tokens(batch)).detach();
    const auto dtype = precision == "bfloat16" ? torch::kBFloat16 : torch::kFloat32;
    auto layer = seeded_layer(options);
    layer->to(device, dtype);
    layer->train(training);
    auto tokens = seeded_tokens(batch).to(device, dtype).requires_grad_();
    RoutingRecord record{.wants = {.scores = true}};
    torch::Tensor y;
    {
      const AutocastGuard autocast(device,
                                   precision == "autocast" ? torch::kBFloat16 : torch::kFloat32);
      y = seeded_forward(layer, tokens, &record);
      objective(row(), y, record).backward();
    }
    ASSERT_EQ(y.sizes(), tokens.sizes());
    if (precision != "autocast") {  // where the operators decide
      EXPECT_EQ(y.scalar_type(), dtype);
    }
    if (is_comparable(device, precision, training)) {
      EXPECT_TRUE(all_close(
          y, reference,
          precision == "float32" ? Tolerance{.absolute = 2e-5} : Tolerance{.relative = 4e-2}));
    }
    expect_gradients(tokens, layer);
  }
};

TEST_P(RouterContract, RunsForwardAndBackwardInEveryPrecision) {
  for (const auto& device : present_devices()) {
    for (const auto& options : router_sizes(GetParam())) {
      for (const std::string precision : {"float32", "bfloat16", "autocast"}) {
        for (const bool training : {true, false}) {
          for (const int64_t batch : {1, 3}) {
            expect_forward_and_backward(options, device, precision, training, batch);
          }
        }
      }
    }
  }
}

TEST_P(RouterContract, GivesTheSameForTheSameSeed) {
  for (auto options : router_sizes(GetParam())) {
    options.moe.router_noise = 0.7;
    options.dropout = 0.2;
    const auto run = [&] {
      auto layer = seeded_layer(options);
      auto tokens = seeded_tokens(2).requires_grad_();
      RoutingRecord record{.wants = {.scores = true}};
      const auto y = seeded_forward(layer, tokens, &record);
      objective(row(), y, record).backward();
      return std::pair(y.detach(), tokens.grad());
    };
    const auto first = run();
    const auto second = run();
    EXPECT_TRUE(same_bits(first.first, second.first)) << size_text(options);
    EXPECT_TRUE(same_bits(first.second, second.second)) << size_text(options);
  }
}

TEST_P(RouterContract, EvaluatesWithoutNoise) {
  for (auto options : router_sizes(GetParam())) {
    const auto tokens = seeded_tokens(2);
    auto quiet = seeded_layer(options);
    quiet->eval();
    options.moe.router_noise = 0.7;
    options.dropout = 0.2;
    auto noisy = seeded_layer(options);
    noisy->eval();
    const auto expected = seeded_forward(quiet, tokens);
    EXPECT_TRUE(same_bits(seeded_forward(noisy, tokens), expected)) << size_text(options);
    torch::manual_seed(77);
    EXPECT_TRUE(same_bits(noisy->forward(tokens, {.patches = seeded_context(2).patches}), expected))
        << "drawn in evaluation, " << size_text(options);
  }
}

TEST_P(RouterContract, CloneGivesEqualOutputsAndOwnsItsParameters) {
  for (const auto& options : router_sizes(GetParam())) {
    auto layer = seeded_layer(options);
    layer->eval();
    const auto tokens = seeded_tokens(2);
    const auto expected = seeded_forward(layer, tokens).detach();
    MoeLayer clone(std::dynamic_pointer_cast<MoeLayerImpl>(layer->clone()));
    ASSERT_FALSE(clone.is_empty());
    EXPECT_FALSE(clone->is_training());
    EXPECT_TRUE(same_bits(seeded_forward(clone, tokens), expected)) << size_text(options);
    const torch::NoGradGuard no_grad;
    for (auto& parameter : layer->parameters()) {
      parameter.zero_();
    }
    const auto of_zeros = seeded_forward(layer, tokens);
    EXPECT_GT((of_zeros - expected).abs().max().item<double>(), 1e-3) << size_text(options);
    EXPECT_TRUE(same_bits(seeded_forward(clone, tokens), expected)) << size_text(options);
    for (auto& parameter : clone->parameters()) {
      parameter.zero_();
    }
    EXPECT_TRUE(same_bits(seeded_forward(clone, tokens), of_zeros)) << size_text(options);
  }
}

TEST_P(RouterContract, KeepsARecordOfTheShapeItPromisesAndGivesTheSameWithoutOne) {
  for (const auto& options : router_sizes(GetParam())) {
    for (const bool training : {true, false}) {
      SCOPED_TRACE(size_text(options) + (training ? ", training" : ", evaluation"));
      auto layer = seeded_layer(options);
      layer->train(training);
      auto record = full_record();
      const auto with_record = seeded_forward(layer, seeded_tokens(2), &record);
      auto other = seeded_layer(options);
      other->train(training);
      EXPECT_TRUE(same_bits(with_record, seeded_forward(other, seeded_tokens(2))));
      const bool has_weights = row().kind == RoutingKind::kSparse ||
                               (row().kind == RoutingKind::kSoft && GetParam() != "identity");
      ASSERT_EQ(record.dispatch.defined(), has_weights);
      ASSERT_EQ(record.combine.defined(), has_weights);
      if (has_weights) {
        const int64_t slots = row().kind == RoutingKind::kSoft ? slots_per_expert(options) : 1;
        const std::vector<int64_t> shape{2, kTokens, options.moe.experts, slots};
        EXPECT_EQ(record.dispatch.sizes(), shape);
        EXPECT_EQ(record.combine.sizes(), shape);
        EXPECT_FALSE(record.dispatch.requires_grad());
        EXPECT_FALSE(record.combine.requires_grad());
      }
    }
  }
}

TEST_P(RouterContract, RecordsNothingThatIsNotWanted) {
  auto layer = seeded_layer(layer_options(GetParam(), 5, 3));
  RoutingRecord record{.wants = {}};
  seeded_forward(layer, seeded_tokens(2), &record);
  EXPECT_FALSE(record.dispatch.defined());
  EXPECT_FALSE(record.combine.defined());
  EXPECT_FALSE(record.load.load.defined());
  for (const auto& score : {record.scores.logits, record.scores.noisy_logits, record.scores.actions,
                            record.scores.baseline, record.scores.activation_l1}) {
    EXPECT_FALSE(score.defined());
  }
}

TEST_P(RouterContract, CountsTheLoadOfEveryExpert) {
  for (const auto& options : router_sizes(GetParam())) {
    for (const bool training : {true, false}) {
      SCOPED_TRACE(size_text(options) + (training ? ", training" : ", evaluation"));
      auto layer = seeded_layer(options);
      layer->train(training);
      auto record = full_record();
      seeded_forward(layer, seeded_tokens(2), &record);
      for (const auto& share : {record.load.load, record.load.importance}) {
        ASSERT_TRUE(share.defined());
        EXPECT_EQ(share.sizes(), std::vector<int64_t>{options.moe.experts});
        EXPECT_NEAR(share.sum().item<double>(), 1.0, 1e-5);
        EXPECT_GE(share.min().item<double>(), 0.0);
        EXPECT_FALSE(share.requires_grad());
      }
      for (const auto& value : {record.load.dropped, record.load.entropy}) {
        ASSERT_TRUE(value.defined());
        EXPECT_EQ(value.dim(), 0);
        EXPECT_GE(value.item<double>(), -1e-6);
        EXPECT_FALSE(value.requires_grad());
      }
      EXPECT_LE(record.load.dropped.item<double>(), 1.0);
      EXPECT_LE(record.load.entropy.item<double>(),
                std::log(static_cast<double>(options.moe.experts)) + 1e-5);
      if (row().kind == RoutingKind::kSparse) {
        const auto reached = record.dispatch.sum({2, 3}) > 0;  // [batch, tokens]
        EXPECT_NEAR(record.load.dropped.item<double>(),
                    1.0 - reached.to(torch::kFloat32).mean().item<double>(), 1e-6);
        EXPECT_TRUE(all_close(record.load.load, record.dispatch.sum({0, 1, 3}) /
                                                    record.dispatch.sum().clamp_min(1.0)));
      }
    }
  }
}

class SparseRouterContract : public RouterContract {};

TEST_P(SparseRouterContract, OutputsAreWhatTheRecordSays) {
  for (const auto& options : router_sizes(GetParam())) {
    for (const bool training : {true, false}) {
      SCOPED_TRACE(size_text(options) + (training ? ", training" : ", evaluation"));
      const torch::NoGradGuard no_grad;
      auto layer = seeded_layer(options);
      layer->train(training);
      const auto tokens = seeded_tokens(2);
      auto record = full_record();
      const auto y = seeded_forward(layer, tokens, &record);
      const auto outputs = all_expert_outputs(layer, tokens)
                               .view({options.moe.experts, 2, kTokens, kDim})
                               .permute({1, 2, 0, 3});    // [batch, tokens, experts, dim]
      auto expected = (record.combine * outputs).sum(2);  // [batch, tokens, dim]
      auto again = seeded_layer(options);
      again->train(training);
      const auto context = seeded_context(2);
      torch::manual_seed(20);
      const auto routed = again->router().route(tokens, context, nullptr);
      if (routed.passthrough.defined()) {
        expected = expected + routed.passthrough;
      }
      EXPECT_TRUE(all_close(y, expected, {.absolute = 1e-5}));
      EXPECT_TRUE(((record.dispatch == 0) | (record.dispatch == 1)).all().item<bool>());
      EXPECT_TRUE((record.combine.masked_fill(record.dispatch == 1, 0) == 0).all().item<bool>());
    }
  }
}

TEST_P(RouterContract, EqualExpertsAreOneExpertWhereTheRowSaysSo) {
  for (auto options : router_sizes(GetParam())) {
    options.moe.expert_init = ExpertInit::kIdentical;
    if (row().equal_experts == EqualExperts::kRenormalized) {
      options.moe.sparse.renormalize_gates = true;
      options.moe.sparse.top_k = std::min<int64_t>(2, options.moe.experts);
    }
    // Room for every token, so that none loses one of its experts.
    options.moe.sparse.eval_capacity_factor = static_cast<double>(options.moe.experts);
    const torch::NoGradGuard no_grad;
    auto layer = seeded_layer(options);
    layer->eval();
    const auto tokens = seeded_tokens(2);
    RoutingRecord record;
    const auto y = seeded_forward(layer, tokens, &record);
    const auto expected = all_expert_outputs(layer, tokens)[0].view_as(tokens);
    // Tokens that no expert takes are left out.
    const auto reached = row().kind == RoutingKind::kSparse
                             ? record.dispatch.sum({2, 3}).unsqueeze(2) > 0
                             : torch::ones({2, kTokens, 1}, torch::kBool);  // [batch, tokens, 1]
    const auto error = ((y - expected) * reached).abs().max().item<double>();
    if (row().equal_experts != EqualExperts::kDiffer) {
      EXPECT_LT(error, 1e-5) << size_text(options);
      EXPECT_TRUE(reached.any().item<bool>());
    } else if (options.moe.experts > 1) {
      EXPECT_GT(error, 1e-3) << size_text(options);
    }
  }
}

TEST_P(RouterContract, RefusesTokensOfAnotherShape) {
  auto layer = seeded_layer(layer_options(GetParam(), 5, 3));
  const auto context = seeded_context(2);
  EXPECT_THROW(layer->forward(torch::zeros({2, kTokens, kDim + 1}), context), c10::ValueError);
  EXPECT_THROW(layer->forward(torch::zeros({kTokens, kDim}), context), c10::ValueError);
}

INSTANTIATE_TEST_SUITE_P(Routers, RouterContract, testing::ValuesIn(router_names()),
                         [](const auto& entry) { return entry.param; });

std::vector<std::string> sparse_names() {
  std::vector<std::string> names;
  for (const auto& row : router_rows()) {
    if (row.kind == RoutingKind::kSparse) {
      names.emplace_back(row.name);
    }
  }
  return names;
}

INSTANTIATE_TEST_SUITE_P(Routers, SparseRouterContract, testing::ValuesIn(sparse_names()),
                         [](const auto& entry) { return entry.param; });

}  // namespace softmoe::router_contract_test
