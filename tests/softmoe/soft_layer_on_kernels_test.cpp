/// Soft MoE layers on our kernels against libtorch's operators.

#include "ops/compute_precision.h"
#include "runtime/autocast_guard.h"
#include "softmoe/moe_layer.h"
#include "support/levels.h"
#include "support/tensor_matcher.h"

namespace softmoe::soft_layer_on_kernels_test {

struct LayerCase {
  std::string name;
  int64_t batch;
  int64_t tokens;
  int64_t dim;
  int64_t experts;
  int64_t slots_per_expert;
};
void PrintTo(const LayerCase& test_case, std::ostream* out) { *out << test_case.name; }

double relative_error(const torch::Tensor& actual, const torch::Tensor& expected) {
  const auto reference = expected.to(torch::kFloat64);
  return ((actual.to(torch::kFloat64) - reference).norm() / reference.norm()).item<double>();
}

class SoftLayerOnKernels : public testing::TestWithParam<LayerCase> {
 protected:
  void SetUp() override {
    at::manual_seed(8);
    const auto& sizes = GetParam();
    tokens_ = torch::randn({sizes.batch, sizes.tokens, sizes.dim});
    d_tokens_ = torch::randn_like(tokens_);
  }

  static MoeLayerOptions options() {
    const auto& sizes = GetParam();
    MoeLayerOptions options;
    options.dim = sizes.dim;
    options.hidden_dim = 24;
    options.tokens = sizes.tokens;
    options.moe.experts = sizes.experts;
    options.moe.slots_per_expert = sizes.slots_per_expert;
    return options;
  }

  torch::Tensor tokens_;
  torch::Tensor d_tokens_;
};

TEST_P(SoftLayerOnKernels, GivesWhatLibtorchsOperatorsGiveOnEveryLevel) {
  auto layer = MoeLayer(options());
  const auto run = [&](Precision precision) {
    layer->zero_grad();
    const auto tokens = tokens_.clone().requires_grad_();
    {
      const AutocastGuard autocast(torch::kCPU, tensor_dtype(precision));
      const auto out = layer->forward(tokens);
      (out.to(torch::kFloat32) * d_tokens_).sum().backward();
    }
    std::vector<torch::Tensor> results{tokens.grad()};
    for (const auto& parameter : layer->parameters()) {
      results.push_back(parameter.grad().clone());
    }
    return results;
  };
  for (const auto precision : test::kKernelPrecisions) {
    SCOPED_TRACE(enum_name(precision));
    std::vector<torch::Tensor> expected;
    // The portable level, the first one, leaves training to libtorch's operators.
    test::on_every_level([&] {
      const auto actual = run(precision);
      ASSERT_EQ(actual.size(), 7);
      if (kernels::level() == kernels::Level::kPortable) {
        expected = actual;
        return;
      }
      for (size_t index = 0; index < actual.size(); ++index) {
        EXPECT_LT(relative_error(actual[index], expected[index]),
                  precision == Precision::kBFloat16 ? 3e-2 : 5e-6)
            << index;
      }
    });
  }
}

TEST_P(SoftLayerOnKernels, TellsItsLoadWithoutAnotherBit) {
  auto layer = MoeLayer(options());
  const AutocastGuard autocast(torch::kCPU, torch::kBFloat16);
  RoutingRecord load{.wants = {.load = true}};
  const auto told = layer->forward(tokens_, &load);
  EXPECT_TRUE(test::same_bits(told.detach(), layer->forward(tokens_).detach()));
  RoutingRecord weights{.wants = {.weights = true, .load = true}};
  layer->forward(tokens_, &weights);
  EXPECT_TRUE(test::all_close(load.load.importance, weights.load.importance));
  EXPECT_TRUE(test::all_close(load.load.entropy, weights.load.entropy));
}

INSTANTIATE_TEST_SUITE_P(Sizes, SoftLayerOnKernels,
                         testing::Values(LayerCase{"Few", 3, 7, 32, 5, 1},
                                         LayerCase{"OneVector", 2, 15, 48, 8, 2},
                                         LayerCase{"Many", 5, 50, 64, 11, 3},
                                         LayerCase{"ManyBlocks", 2, 290, 80, 67, 8}),
                         [](const auto& test_case) { return test_case.param.name; });

}  // namespace softmoe::soft_layer_on_kernels_test
