#include "vit/block.h"

#include "ops/initialization.h"
#include "runtime/autocast_guard.h"
#include "runtime/device.h"
#include "support/gradient_check.h"
#include "vit/definitions.h"
#include "vit/small_models.h"

namespace softmoe {
namespace {

using test::all_close;
using test::defined_norm;
using test::randomise;
using test::same_bits;
using test::small_moe_options;
using test::Tolerance;

TEST(Block, IsTwoPreNormResidualBranches) {
  const DefaultDtypeGuard fp64(torch::kFloat64);
  for (const bool has_moe : {false, true}) {
    for (const double layer_scale : {0.0, 0.1}) {
      auto options = small_moe_options();
      options.layer_scale = layer_scale;
      Block block(options, has_moe, /*drop_path_rate=*/0.0);
      randomise(block);
      const auto x = torch::randn({2, 6, 24});
      const auto branch = [&](const torch::Tensor& y, LayerScale& scale) {
        return layer_scale > 0 ? y * scale->gamma : y;
      };
      const auto middle =
          x +
          branch(block->attn->forward(defined_norm(x, block->norm1, options.norm_eps)), block->ls1);
      const auto normed = defined_norm(middle, block->norm2, options.norm_eps);
      const auto out = has_moe ? block->moe->forward(normed) : block->mlp->forward(normed);
      EXPECT_TRUE(all_close(block->forward(x), middle + branch(out, block->ls2)));
    }
  }
}

TEST(Block, AddsASharedMlpToScaledExpertsOfAnotherWidth) {
  const DefaultDtypeGuard fp64(torch::kFloat64);
  auto options = small_moe_options();
  options.layer_scale = 0.1;
  options.moe.shared_mlp = true;
  options.moe.moe_layer_scale = 0.3;
  options.moe.expert_dim = 10;
  Block block(options, /*has_moe=*/true, /*drop_path_rate=*/0.0);
  randomise(block);
  const auto x = torch::randn({2, 6, 24});
  EXPECT_EQ(block->moe->experts->fc1_weight.size(1), 10);
  EXPECT_EQ(block->mlp->fc1->weight.size(0), options.mlp_dim);
  const auto inputs = block->branch_inputs(x);
  const auto middle =
      x + block->ls1(block->attn->forward(defined_norm(x, block->norm1, options.norm_eps)));
  EXPECT_TRUE(all_close(inputs, defined_norm(middle, block->norm2, options.norm_eps)));
  auto plain = options;
  plain.moe.moe_layer_scale = 0.0;
  MoeLayer layer(moe_layer_options(plain));
  const torch::NoGradGuard no_grad;
  for (auto& parameter : layer->named_parameters()) {
    parameter.value().copy_(block->moe->named_parameters()[parameter.key()]);
  }
  const auto branch = layer->forward(inputs) * block->moe->gamma + block->mlp->forward(inputs);
  EXPECT_TRUE(all_close(block->forward(x), middle + block->ls2(branch)));
}

TEST(Block, StochasticDepthSkipsBothBranchesOfASample) {
  auto options = small_moe_options();
  for (const bool has_moe : {false, true}) {
    Block block(options, has_moe, /*drop_path_rate=*/0.6);
    randomise(block);
    torch::manual_seed(4);
    const auto x = torch::randn({200, 6, 24});
    const auto y = block->forward(x);
    const auto untouched = (y - x).abs().flatten(1).amax(1).eq(0).to(torch::kFloat32);
    EXPECT_NEAR(untouched.mean().item<double>(), 0.36, 0.12);
    block->eval();
    const auto evaluated = block->forward(x);
    EXPECT_TRUE(same_bits(block->forward(x), evaluated));
    EXPECT_GT((evaluated - x).abs().flatten(1).amax(1).min().item<double>(), 0.0);
  }
}

TEST(Block, GradientsMatchFiniteDifferences) {
  const DefaultDtypeGuard fp64(torch::kFloat64);
  for (const auto& [has_moe, mlp_layer] :
       {std::pair{false, MlpLayer::kMlp}, {false, MlpLayer::kSwiGlu}, {true, MlpLayer::kMlp}}) {
    torch::manual_seed(8);
    auto options = small_moe_options();
    options.qk_norm = true;
    options.layer_scale = 0.5;
    options.mlp_layer = mlp_layer;
    Block block(options, has_moe, /*drop_path_rate=*/0.0);
    randomise(block);
    auto x = torch::randn({2, 6, 24}).requires_grad_();
    const auto cotangent = torch::randn({2, 6, 24});
    std::vector<test::NamedLeaf> leaves{{"x", x}};
    for (const auto& parameter : block->named_parameters()) {
      leaves.push_back({parameter.key(), parameter.value()});
    }
    EXPECT_TRUE(test::gradients_match([&] { return (block->forward(x) * cotangent).sum(); }, leaves,
                                      {.coordinates = 8}));
  }
}

/// Whatever kernels serve autocast, they compute what fp32 computes, to the precision of bf16.
TEST(Block, UnderAutocastAgreesWithFp32) {
  for (const auto& device : present_devices()) {
    for (const bool has_moe : {false, true}) {
      for (const bool qk_norm : {false, true}) {
        torch::manual_seed(9);
        auto options = small_moe_options();
        options.dim = 64;
        options.heads = 4;
        options.mlp_dim = 96;
        options.qk_norm = qk_norm;
        Block block(options, has_moe, /*drop_path_rate=*/0.0);
        block->to(device);
        const auto x = torch::randn({3, 6, 64}, device);
        const auto cotangent = torch::randn({3, 6, 64}, device);
        const auto run = [&](torch::Dtype dtype) {
          auto input = x.clone().requires_grad_();
          block->zero_grad();
          torch::Tensor y;
          {
            const AutocastGuard autocast(device, dtype);
            y = block->forward(input);
          }
          (y.to(torch::kFloat32) * cotangent).sum().backward();
          std::vector<torch::Tensor> results{y.detach().to(torch::kFloat32), input.grad()};
          for (const auto& parameter : block->parameters()) {
            results.push_back(parameter.grad().clone());
          }
          return results;
        };
        const auto full = run(torch::kFloat32);
        const auto reduced = run(torch::kBFloat16);
        for (size_t i = 0; i < full.size(); ++i) {
          EXPECT_TRUE(all_close(reduced[i], full[i], Tolerance{.relative = 0.03}))
              << "result " << i << (has_moe ? ", MoE" : "") << (qk_norm ? ", QK-norm" : "");
        }
      }
    }
  }
}

}  // namespace
}  // namespace softmoe
