/// The parts of a block against their definitions, written out.

#include "vit/layers.h"

#include "ops/initialization.h"
#include "runtime/device.h"
#include "support/gradient_check.h"
#include "support/tensor_matcher.h"
#include "vit/small_models.h"

namespace softmoe {
namespace {

using test::all_close;
using test::same_bits;
using test::small_moe_options;
using test::small_options;
using test::Tolerance;

/// Random values for every parameter of `module`.
template <typename Module>
void randomise(Module& module) {
  const torch::NoGradGuard no_grad;
  for (auto& parameter : module->parameters()) {
    parameter.normal_(0.0, 0.5);
  }
}

/// LayerNorm over the last axis by its definition.
torch::Tensor layer_norm(const torch::Tensor& x, const LayerNorm& norm, double eps) {
  const auto centred = x - x.mean(-1, /*keepdim=*/true);
  const auto variance = centred.square().mean(-1, /*keepdim=*/true);
  const auto scaled = centred / (variance + eps).sqrt() * norm->weight;
  return norm->bias.defined() ? scaled + norm->bias : scaled;
}

/// Attention of queries, keys and values [tokens, head_dim] by its definition.
torch::Tensor attention(const torch::Tensor& queries, const torch::Tensor& keys,
                        const torch::Tensor& values) {
  const auto scores = queries.mm(keys.t()) / std::sqrt(static_cast<double>(queries.size(1)));
  return scores.softmax(1).mm(values);
}

TEST(Attention, MixesValuesHeadByHead) {
  const DefaultDtypeGuard fp64(torch::kFloat64);
  for (const bool qk_norm : {false, true}) {
    auto options = small_options();
    options.qk_norm = qk_norm;
    options.norm_eps = 1e-3;  // to be seen
    Attention module(options);
    randomise(module);
    const auto x = torch::randn({2, 5, 24});  // [batch, tokens, dim]
    const auto y = module->forward(x);
    for (int64_t image = 0; image < 2; ++image) {
      const auto qkv = x[image].mm(module->qkv->weight.t()) + module->qkv->bias;
      std::vector<torch::Tensor> heads;
      for (int64_t head = 0; head < 2; ++head) {
        auto queries = qkv.narrow(1, head * 12, 12);
        auto keys = qkv.narrow(1, 24 + head * 12, 12);
        const auto values = qkv.narrow(1, 48 + head * 12, 12);
        if (qk_norm) {
          queries = layer_norm(queries, module->q_norm, 1e-3);
          keys = layer_norm(keys, module->k_norm, 1e-3);
        }
        heads.push_back(attention(queries, keys, values));
      }
      const auto expected = torch::cat(heads, 1).mm(module->proj->weight.t()) + module->proj->bias;
      EXPECT_TRUE(all_close(y[image], expected)) << (qk_norm ? "with" : "without") << " QK-norm";
    }
    const auto residual = torch::randn_like(x);
    EXPECT_TRUE(all_close(module->forward(x, residual), residual + y));
  }
}

TEST(Attention, NormsOfQueriesAndKeysHaveNoBias) {
  auto options = small_options();
  options.qk_norm = true;
  Attention module(options);
  EXPECT_FALSE(module->q_norm->bias.defined());
  EXPECT_FALSE(module->k_norm->bias.defined());
  EXPECT_EQ(module->q_norm->weight.sizes(), std::vector<int64_t>{12});
}

TEST(AttentionPool, AsksAllTokensOneLearnedQuestion) {
  const DefaultDtypeGuard fp64(torch::kFloat64);
  for (const bool qk_norm : {false, true}) {
    auto options = small_options();
    options.qk_norm = qk_norm;
    options.drop = 0.5;  // the reference's head has no dropout
    AttentionPool module(options);
    randomise(module);
    const auto x = torch::randn({2, 5, 24});  // [batch, tokens, dim]
    const auto y = module->forward(x);
    ASSERT_EQ(y.sizes(), (std::vector<int64_t>{2, 24}));
    const auto query = module->latent[0].mm(module->q->weight.t()) + module->q->bias;
    for (int64_t image = 0; image < 2; ++image) {
      const auto kv = x[image].mm(module->kv->weight.t()) + module->kv->bias;
      std::vector<torch::Tensor> heads;
      for (int64_t head = 0; head < 2; ++head) {
        auto queries = query.narrow(1, head * 12, 12);
        auto keys = kv.narrow(1, head * 12, 12);
        if (qk_norm) {
          queries = layer_norm(queries, module->q_norm, options.norm_eps);
          keys = layer_norm(keys, module->k_norm, options.norm_eps);
        }
        heads.push_back(attention(queries, keys, kv.narrow(1, 24 + head * 12, 12)));
      }
      const auto mixed = torch::cat(heads, 1).mm(module->proj->weight.t()) + module->proj->bias;
      const auto expected =
          mixed + module->mlp->forward(layer_norm(mixed, module->norm, options.norm_eps));
      EXPECT_TRUE(all_close(y.narrow(0, image, 1), expected));
    }
  }
}

TEST(LayerNorm, FollowsItsDefinition) {
  const DefaultDtypeGuard fp64(torch::kFloat64);
  for (const bool with_bias : {true, false}) {
    LayerNorm module(6, 1e-2, with_bias);
    EXPECT_TRUE(module->weight.eq(1).all().item<bool>());
    randomise(module);
    const auto x = torch::randn({3, 4, 6});
    EXPECT_TRUE(all_close(module->forward(x), layer_norm(x, module, 1e-2)));
  }
}

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

TEST(LayerScale, MultipliesEveryChannelByItsOwnFactor) {
  LayerScale module(3, 0.25);
  const auto x = torch::randn({2, 4, 3});
  EXPECT_TRUE(same_bits(module->forward(x), 0.25 * x));
  randomise(module);
  EXPECT_TRUE(all_close(module->forward(x).select(2, 1), x.select(2, 1) * module->gamma[1]));
}

TEST(DropPath, DropsWholeSamplesAndScalesTheRest) {
  torch::manual_seed(3);
  const auto x = torch::rand({4000, 2, 3}) + 1;
  const auto y = drop_path(x, 0.25, /*training=*/true);
  const auto ratio = (y / x).flatten(1);  // [batch, 6]
  EXPECT_TRUE(all_close(ratio, ratio.narrow(1, 0, 1).expand_as(ratio)));
  const auto kept = ratio.select(1, 0).gt(0);
  EXPECT_TRUE(all_close(y.index({kept}), x.index({kept}) / 0.75));
  EXPECT_EQ(y.index({kept.logical_not()}).abs().max().item<double>(), 0.0);
  EXPECT_NEAR(kept.to(torch::kFloat32).mean().item<double>(), 0.75, 0.03);
}

TEST(DropPath, LeavesEvaluationAndRateZeroAlone) {
  const auto x = torch::randn({4, 3});
  EXPECT_TRUE(drop_path(x, 0.9, /*training=*/false).is_same(x));
  EXPECT_TRUE(drop_path(x, 0.0, /*training=*/true).is_same(x));
}

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
          branch(block->attn->forward(layer_norm(x, block->norm1, options.norm_eps)), block->ls1);
      const auto normed = layer_norm(middle, block->norm2, options.norm_eps);
      const auto out = has_moe ? block->moe->forward(normed) : block->mlp->forward(normed);
      EXPECT_TRUE(all_close(block->forward(x), middle + branch(out, block->ls2)));
    }
  }
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
