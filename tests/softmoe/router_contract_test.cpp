/// What every row of the registry of routers must keep to: a new router is tested from its first
/// day.

#include <set>

#include "core/device.h"
#include "softmoe/moe_layer.h"
#include "softmoe/routers.h"
#include "support/tensor_matcher.h"

namespace softmoe {
namespace {

using test::all_close;
using test::same_bits;
using test::Tolerance;

constexpr int64_t kTokens = 15;
constexpr int64_t kDim = 12;

MoeLayerOptions layer_options(const std::string& router, int64_t experts, int64_t slots) {
  MoeLayerOptions options;
  options.dim = kDim;
  options.hidden_dim = 20;
  options.tokens = kTokens;
  options.moe.router = router;
  options.moe.experts = experts;
  options.moe.slots_per_expert = slots;
  return options;
}

MoeLayer seeded_layer(const MoeLayerOptions& options) {
  torch::manual_seed(17);
  return MoeLayer(options);
}

torch::Tensor seeded_tokens(int64_t batch) {
  torch::manual_seed(18);
  return torch::randn({batch, kTokens, kDim});
}

class RouterContract : public testing::TestWithParam<std::string> {
 protected:
  /// One expert, several slots, as many experts as tokens, and where the router can, more.
  std::vector<MoeLayerOptions> sizes() const {
    std::vector<MoeLayerOptions> sizes{layer_options(GetParam(), 1, kTokens),
                                       layer_options(GetParam(), 5, 3),
                                       layer_options(GetParam(), kTokens, 1)};
    if (GetParam() != "identity") {
      sizes.push_back(layer_options(GetParam(), kTokens + 7, 1));
      sizes.push_back(layer_options(GetParam(), 4, 2));
      sizes.push_back(layer_options(GetParam(), 6, 0));  // by the capacity factor
    }
    return sizes;
  }

  static std::string text(const MoeLayerOptions& options) {
    return std::to_string(options.moe.experts) + " experts of " +
           std::to_string(options.moe.slots_per_expert) + " slots";
  }
};

TEST_P(RouterContract, HasASourceAndASummary) {
  const auto rows = router_rows();
  const auto row = std::find_if(rows.begin(), rows.end(),
                                [](const auto& candidate) { return candidate.name == GetParam(); });
  ASSERT_NE(row, rows.end());
  EXPECT_FALSE(row->source.empty());
  EXPECT_FALSE(row->summary.empty());
}

TEST_P(RouterContract, SaysWhetherItLearns) {
  for (const auto& row : router_rows()) {
    if (row.name == GetParam()) {
      const auto handle = make_router(layer_options(GetParam(), 5, 3));
      EXPECT_EQ(!handle.module->parameters().empty(), row.learned);
    }
  }
}

TEST_P(RouterContract, RunsForwardAndBackwardInEveryPrecision) {
  for (const auto& device : present_devices()) {
    for (const auto& options : sizes()) {
      const auto reference = seeded_layer(options)->forward(seeded_tokens(3)).detach();
      for (const std::string precision : {"float32", "bfloat16", "autocast"}) {
        for (const bool training : {true, false}) {
          for (const int64_t batch : {1, 3}) {
            SCOPED_TRACE(text(options) + ", " + precision + ", batch " + std::to_string(batch));
            const auto dtype = precision == "bfloat16" ? torch::kBFloat16 : torch::kFloat32;
            auto layer = seeded_layer(options);
            layer->to(device, dtype);
            layer->train(training);
            auto tokens = seeded_tokens(batch).to(device, dtype).requires_grad_();
            torch::Tensor y;
            {
              const AutocastGuard autocast(
                  device, precision == "autocast" ? torch::kBFloat16 : torch::kFloat32);
              y = layer->forward(tokens);
            }
            ASSERT_EQ(y.sizes(), tokens.sizes());
            if (precision != "autocast") {  // where the operators decide
              EXPECT_EQ(y.scalar_type(), dtype);
            }
            if (batch == 3) {
              EXPECT_TRUE(all_close(y, reference,
                                    precision == "float32" ? Tolerance{.absolute = 2e-5}
                                                           : Tolerance{.relative = 4e-2}));
            }
            y.to(torch::kFloat32).square().sum().backward();
            EXPECT_TRUE(tokens.grad().isfinite().all().item<bool>());
            for (const auto& parameter : layer->named_parameters()) {
              ASSERT_TRUE(parameter.value().grad().defined()) << parameter.key();
              EXPECT_TRUE(parameter.value().grad().isfinite().all().item<bool>())
                  << parameter.key();
            }
          }
        }
      }
    }
  }
}

TEST_P(RouterContract, GivesTheSameForTheSameSeed) {
  for (auto options : sizes()) {
    options.moe.router_noise = 0.7;
    options.dropout = 0.2;
    const auto run = [&] {
      auto layer = seeded_layer(options);
      auto tokens = seeded_tokens(2).requires_grad_();
      const auto y = layer->forward(tokens);
      y.square().sum().backward();
      return std::pair(y.detach(), tokens.grad());
    };
    const auto first = run();
    const auto second = run();
    EXPECT_TRUE(same_bits(first.first, second.first)) << text(options);
    EXPECT_TRUE(same_bits(first.second, second.second)) << text(options);
  }
}

TEST_P(RouterContract, EvaluatesWithoutNoise) {
  for (auto options : sizes()) {
    const auto tokens = seeded_tokens(2);
    auto quiet = seeded_layer(options);
    quiet->eval();
    options.moe.router_noise = 0.7;
    options.dropout = 0.2;
    auto noisy = seeded_layer(options);
    noisy->eval();
    EXPECT_TRUE(same_bits(noisy->forward(tokens), quiet->forward(tokens))) << text(options);
  }
}

TEST_P(RouterContract, CloneGivesEqualOutputsAndOwnsItsParameters) {
  for (const auto& options : sizes()) {
    auto layer = seeded_layer(options);
    layer->eval();
    const auto tokens = seeded_tokens(2);
    const auto expected = layer->forward(tokens).detach();
    const auto clone = std::dynamic_pointer_cast<MoeLayerImpl>(layer->clone());
    ASSERT_NE(clone, nullptr);
    EXPECT_FALSE(clone->is_training());
    EXPECT_TRUE(same_bits(clone->forward(tokens), expected)) << text(options);
    const torch::NoGradGuard no_grad;
    for (auto& parameter : layer->parameters()) {
      parameter.zero_();
    }
    EXPECT_TRUE(same_bits(clone->forward(tokens), expected)) << text(options);
    for (auto& parameter : clone->parameters()) {
      parameter.zero_();
    }
    EXPECT_EQ(clone->forward(tokens).abs().max().item<double>(), 0.0) << text(options);
  }
}

TEST_P(RouterContract, KeepsARecordOfTheShapeItPromises) {
  for (const auto& options : sizes()) {
    auto layer = seeded_layer(options);
    RoutingRecord record;
    const auto with_record = layer->forward(seeded_tokens(2), &record);
    EXPECT_TRUE(same_bits(with_record, layer->forward(seeded_tokens(2))));
    EXPECT_EQ(record.dispatch.defined(), record.combine.defined());
    if (record.dispatch.defined()) {
      const std::vector<int64_t> shape{2, kTokens, options.moe.experts, slots_per_expert(options)};
      EXPECT_EQ(record.dispatch.sizes(), shape) << text(options);
      EXPECT_EQ(record.combine.sizes(), shape) << text(options);
      EXPECT_FALSE(record.dispatch.requires_grad());
      EXPECT_FALSE(record.combine.requires_grad());
    }
  }
}

TEST_P(RouterContract, RefusesTokensOfAnotherShape) {
  auto layer = seeded_layer(layer_options(GetParam(), 5, 3));
  EXPECT_THROW(layer->forward(torch::zeros({2, kTokens, kDim + 1})), c10::ValueError);
  EXPECT_THROW(layer->forward(torch::zeros({kTokens, kDim})), c10::ValueError);
}

INSTANTIATE_TEST_SUITE_P(Routers, RouterContract, testing::ValuesIn(router_names()),
                         [](const auto& entry) { return entry.param; });

TEST(RouterRegistry, NamesAreDistinct) {
  const auto names = router_names();
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), names.size());
  EXPECT_EQ(names.size(), router_rows().size());
  EXPECT_GE(names.size(), 5U);
}

}  // namespace
}  // namespace softmoe
