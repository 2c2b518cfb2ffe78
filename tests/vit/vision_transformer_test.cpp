#include "vit/vision_transformer.h"

#include "analysis/routing_statistics.h"
#include "core/error.h"
#include "ops/initialization.h"
#include "runtime/autocast_guard.h"
#include "runtime/device.h"
#include "softmoe/routers.h"
#include "support/gradient_check.h"
#include "support/tensor_matcher.h"
#include "vit/small_models.h"

namespace softmoe {
namespace {

using test::all_close;
using test::every_prefix;
using test::lively_model;
using test::random_images;
using test::same_bits;
using test::small_moe_options;
using test::small_options;
using test::Tolerance;

/// Every way to pool, to normalise and to place positions, dense and MoE.
std::vector<VitOptions> variants() {
  std::vector<VitOptions> all;
  for (const auto pool : {GlobalPool::kAvg, GlobalPool::kToken, GlobalPool::kMap}) {
    for (const auto norm : {FinalNorm::kTokens, FinalNorm::kPooled}) {
      for (const bool has_moe : {false, true}) {
        auto options = has_moe ? small_moe_options() : small_options();
        options.global_pool = pool;
        options.final_norm = norm;
        options.class_token = pool == GlobalPool::kToken;
        all.push_back(options);
      }
    }
  }
  auto options = small_moe_options();
  options.class_token = true;
  options.qk_norm = true;
  options.layer_scale = 0.5;
  options.pre_logits = 10;
  options.global_pool = GlobalPool::kMap;
  all.push_back(options);
  options.global_pool = GlobalPool::kAvg;
  options.pos_embed = PositionEmbedding::kSinCos2d;
  all.push_back(options);
  options.pool_include_prefix = true;
  all.push_back(options);
  options = small_options();
  options.mlp_layer = MlpLayer::kSwiGlu;
  options.class_token = true;
  options.reg_tokens = 2;
  options.global_pool = GlobalPool::kTokenAvg;
  all.push_back(options);
  options.pre_logits = 10;
  all.push_back(options);
  all.push_back(every_prefix());
  options = every_prefix();
  options.pos_embed_prefix = false;
  options.final_norm = FinalNorm::kPooled;
  options.pre_logits = 10;
  all.push_back(options);
  options.pos_embed = PositionEmbedding::kSinCos2d;
  all.push_back(options);
  return all;
}

std::string text(const VitOptions& options) { return options_to_json(options).dump(); }

TEST(VisionTransformer, EveryVariantRunsForwardAndBackward) {
  for (const auto& device : present_devices()) {
    for (const auto& options : variants()) {
      auto model = lively_model(options);
      model->to(device);
      const auto logits = model->forward(random_images(options, 3).to(device));
      ASSERT_EQ(logits.sizes(), (std::vector<int64_t>{3, 7})) << text(options);
      (logits * torch::randn_like(logits)).sum().backward();
      for (const auto& parameter : model->named_parameters()) {
        const auto gradient = parameter.value().grad();
        ASSERT_TRUE(gradient.defined()) << parameter.key() << " " << text(options);
        EXPECT_TRUE(gradient.isfinite().all().item<bool>()) << parameter.key();
        EXPECT_GT(gradient.abs().max().item<double>(), 0.0)
            << parameter.key() << " " << text(options);
      }
    }
  }
}

TEST(VisionTransformer, HeadGetsTheFeatures) {
  for (auto options : variants()) {
    auto model = lively_model(options);
    model->eval();
    const auto images = random_images(options);
    const auto features = model->forward_features(images);
    ASSERT_EQ(features.sizes(), (std::vector<int64_t>{2, options.feature_dim()}));
    const auto logits = model->forward(images);
    auto parameters = model->named_parameters();
    const auto parts = features.chunk(options.dist_token ? 2 : 1, 1);
    auto expected = parts[0].mm(parameters["head.weight"].t()) + parameters["head.bias"];
    if (options.dist_token) {
      const auto second =
          parts[1].mm(parameters["head_dist.weight"].t()) + parameters["head_dist.bias"];
      expected = (expected + second) / 2;
    }
    EXPECT_TRUE(all_close(logits, expected)) << text(options);
    EXPECT_TRUE(same_bits(model->forward_head(features), logits)) << text(options);
    options.num_classes = 0;
    auto headless = lively_model(options);
    EXPECT_EQ(headless->forward(images).sizes(), features.sizes());
    EXPECT_TRUE(same_bits(headless->forward(images), headless->forward_features(images)));
  }
}

TEST(VisionTransformer, TakesImagesOfAnySizeAndChannels) {
  for (const auto& [height, width, channels] :
       {std::tuple<int64_t, int64_t, int64_t>{4, 4, 1}, {4, 20, 1}, {16, 8, 5}, {28, 28, 1}}) {
    auto options = small_moe_options();
    options.img_size = {height, width};
    options.in_chans = channels;
    auto model = lively_model(options);
    const auto images = random_images(options);
    EXPECT_EQ(model->forward(images).sizes(), (std::vector<int64_t>{2, 7}));
    EXPECT_EQ(model->forward_tokens(images).size(1), height * width / 16);
    EXPECT_EQ(model->forward(images.narrow(0, 0, 1)).sizes(), (std::vector<int64_t>{1, 7}));
  }
}

TEST(VisionTransformer, RefusesImagesOfAnotherShape) {
  auto model = lively_model(small_options());
  EXPECT_THROW(model->forward(torch::zeros({2, 3, 12, 8})), c10::ValueError);
  EXPECT_THROW(model->forward(torch::zeros({2, 1, 8, 12})), c10::ValueError);
  EXPECT_THROW(model->forward(torch::zeros({2, 8, 12, 3})), c10::ValueError);
  EXPECT_THROW(model->forward(torch::zeros({3, 8, 12})), c10::ValueError);
}

/// The patches of the images in another order.
torch::Tensor permute_patches(const torch::Tensor& images, const torch::Tensor& order) {
  const auto patches = images.view({images.size(0), 3, 2, 4, 3, 4})
                           .permute({0, 2, 4, 1, 3, 5})
                           .reshape({images.size(0), 6, 3, 4, 4})
                           .index_select(1, order);
  return patches.view({images.size(0), 2, 3, 3, 4, 4})
      .permute({0, 3, 1, 4, 2, 5})
      .reshape(images.sizes());
}

TEST(VisionTransformer, KnowsTheOrderOfPatchesByPositionsAlone) {
  const auto order = torch::tensor({3, 0, 5, 1, 4, 2}, torch::kInt64);
  for (const auto& options : {small_options(), small_moe_options()}) {
    auto model = lively_model(options);
    const auto images = random_images(options);
    const auto permuted = permute_patches(images, order);
    EXPECT_FALSE(all_close(model->forward(permuted), model->forward(images)));
    {
      const torch::NoGradGuard no_grad;
      model->named_parameters()["pos_embed"].zero_();
    }
    EXPECT_TRUE(
        all_close(model->forward(permuted), model->forward(images), Tolerance{.absolute = 1e-5}));
    EXPECT_TRUE(all_close(model->forward_tokens(permuted),
                          model->forward_tokens(images).index_select(1, order),
                          Tolerance{.absolute = 1e-5}));
  }
}

TEST(VisionTransformer, ImagesOfABatchDoNotInfluenceEachOther) {
  for (const auto& router : router_names()) {
    auto options = small_moe_options(router);
    options.moe.sparse.group_images = 1;
    auto model = lively_model(options);
    model->eval();
    const auto images = random_images(options, 3);
    const auto together = model->forward(images);
    for (int64_t image = 0; image < 3; ++image) {
      EXPECT_TRUE(all_close(model->forward(images.narrow(0, image, 1)),
                            together.narrow(0, image, 1), Tolerance{.absolute = 1e-5}))
          << router;
    }
  }
}

TEST(VisionTransformer, DropsInTrainingOnly) {
  for (const auto& change : std::vector<std::function<void(VitOptions&)>>{
           [](VitOptions& o) { o.drop = 0.3; }, [](VitOptions& o) { o.attn_drop = 0.3; },
           [](VitOptions& o) { o.drop_path = 0.5; },
           [](VitOptions& o) { o.moe.router_noise = 0.5; }}) {
    auto options = small_moe_options();
    auto plain = lively_model(options);
    change(options);
    auto model = lively_model(options);
    const auto images = random_images(options, 8);
    torch::manual_seed(1);
    const auto trained = model->forward(images);
    EXPECT_FALSE(all_close(model->forward(images), trained, Tolerance{.absolute = 1e-4}))
        << text(options);
    torch::manual_seed(1);
    EXPECT_TRUE(same_bits(model->forward(images), trained)) << text(options);
    model->eval();
    plain->eval();
    EXPECT_TRUE(same_bits(model->forward(images), plain->forward(images))) << text(options);
  }
}

TEST(VisionTransformer, StochasticDepthGrowsFromZeroAtTheFirstBlock) {
  auto options = small_options();
  options.depth = 1;
  options.drop_path = 0.9;
  auto model = lively_model(options);
  const auto images = random_images(options, 8);
  EXPECT_TRUE(same_bits(model->forward(images), model->forward(images)));
  options.depth = 2;
  model = lively_model(options);
  EXPECT_FALSE(all_close(model->forward(images), model->forward(images)));
}

TEST(VisionTransformer, KeepsOneRecordOfEachMoeBlock) {
  for (const auto& router : router_names()) {
    auto options = small_moe_options(router);
    options.depth = 5;
    options.moe_blocks = "1,4";
    auto model = lively_model(options);
    const auto images = random_images(options);
    RoutingRecords records;
    model->eval();
    const auto features = model->forward_features(images, &records);
    EXPECT_TRUE(same_bits(features, model->forward_features(images))) << router;
    ASSERT_EQ(records.size(), 2U) << router;
    for (const int64_t block : {1, 4}) {
      ASSERT_TRUE(records.contains(block)) << router;
      const auto& record = records.at(block);
      const auto kind = router_row(router).kind;
      if (router == "identity" || kind == RoutingKind::kMerged) {
        EXPECT_FALSE(record.dispatch.defined()) << router;
        continue;
      }
      const int64_t slots = kind == RoutingKind::kSoft ? 2 : 1;
      EXPECT_EQ(record.dispatch.sizes(), (std::vector<int64_t>{2, 6, 3, slots})) << router;
      if (kind == RoutingKind::kSoft) {
        const auto statistics = routing_statistics(record);
        EXPECT_TRUE(all_close(statistics.token_contribution.sum(1), torch::full({2}, 6.0)))
            << router;
      }
    }
    EXPECT_EQ(records.at(1).dispatch.defined(), records.at(4).dispatch.defined());
    if (router == "soft") {
      EXPECT_FALSE(all_close(records.at(1).dispatch, records.at(4).dispatch));
    }
  }
  RoutingRecords none;
  lively_model(small_options())->forward_tokens(random_images(small_options()), &none);
  EXPECT_TRUE(none.empty());
}

TEST(VisionTransformer, CloneGivesEqualOutputsAndOwnsItsParameters) {
  for (const auto& options : variants()) {
    auto model = lively_model(options);
    model->eval();
    const auto images = random_images(options);
    const auto expected = model->forward(images).detach();
    const auto clone = std::dynamic_pointer_cast<VisionTransformerImpl>(model->clone());
    ASSERT_NE(clone, nullptr);
    const auto parameters = model->named_parameters();
    const auto copies = clone->named_parameters();
    ASSERT_EQ(copies.size(), parameters.size());
    for (const auto& parameter : parameters) {
      EXPECT_TRUE(same_bits(copies[parameter.key()], parameter.value())) << parameter.key();
    }
    EXPECT_TRUE(same_bits(clone->forward(images), expected)) << text(options);
    const torch::NoGradGuard no_grad;
    for (auto& parameter : model->parameters()) {
      parameter.zero_();
    }
    EXPECT_TRUE(same_bits(clone->forward(images), expected)) << text(options);
  }
}

TEST(VisionTransformer, RunsInAnyDtype) {
  for (const auto& options : variants()) {
    auto model = lively_model(options);
    model->eval();
    const auto images = random_images(options);
    const auto expected = model->forward(images);
    model->to(torch::kFloat64);
    const auto in_fp64 = model->forward(images.to(torch::kFloat64));
    EXPECT_EQ(in_fp64.scalar_type(), torch::kFloat64) << text(options);
    EXPECT_TRUE(all_close(in_fp64, expected, Tolerance{.absolute = 1e-5})) << text(options);
    model->to(torch::kBFloat16);
    const auto in_bf16 = model->forward(images.to(torch::kBFloat16));
    EXPECT_EQ(in_bf16.scalar_type(), torch::kBFloat16) << text(options);
    EXPECT_TRUE(all_close(in_bf16, expected, Tolerance{.relative = 0.05})) << text(options);
    const DefaultDtypeGuard reduced(torch::kBFloat16);
    VisionTransformer made_in_bf16(options);
    for (const auto& parameter : made_in_bf16->named_parameters()) {
      EXPECT_EQ(parameter.value().scalar_type(), torch::kBFloat16) << parameter.key();
    }
    EXPECT_EQ(made_in_bf16->forward(images.to(torch::kBFloat16)).scalar_type(), torch::kBFloat16);
  }
}

TEST(VisionTransformer, UnderAutocastAgreesWithFp32) {
  for (const auto& device : present_devices()) {
    for (const auto& options : variants()) {
      auto model = lively_model(options);
      model->to(device);
      const auto images = random_images(options, 4).to(device);
      const auto expected = model->forward(images);
      const AutocastGuard autocast(device, torch::kBFloat16);
      EXPECT_TRUE(all_close(model->forward(images), expected, Tolerance{.relative = 0.05}))
          << text(options);
    }
  }
}

TEST(VisionTransformer, GradientsMatchFiniteDifferences) {
  const DefaultDtypeGuard fp64(torch::kFloat64);
  auto options = small_moe_options();
  options.depth = 2;
  options.moe_blocks = "1";
  options.class_token = true;
  options.pre_logits = 10;
  options.global_pool = GlobalPool::kMap;
  auto model = lively_model(options);
  const auto images = random_images(options);
  const auto cotangent = torch::randn({2, 7});
  std::vector<test::NamedLeaf> leaves;
  for (const auto& parameter : model->named_parameters()) {
    leaves.push_back({parameter.key(), parameter.value()});
  }
  EXPECT_TRUE(test::gradients_match([&] { return (model->forward(images) * cotangent).sum(); },
                                    leaves, {.coordinates = 4}));
}

TEST(VisionTransformer, IsTheSameForTheSameSeed) {
  const auto options = small_moe_options();
  const auto images = random_images(options);
  const auto first = lively_model(options, 1)->forward(images);
  EXPECT_TRUE(same_bits(lively_model(options, 1)->forward(images), first));
  EXPECT_FALSE(all_close(lively_model(options, 2)->forward(images), first));
}

TEST(VisionTransformer, StartsAsTheReference) {
  torch::manual_seed(13);
  auto options = small_options();
  options.img_size = {32};
  options.dim = 96;
  options.mlp_dim = 192;
  options.depth = 1;
  options.class_token = true;
  options.layer_scale = 0.25;
  options.head_bias = -2.5;
  VisionTransformer model(options);
  auto parameters = model->named_parameters();
  const auto expect_deviation = [&](const std::string& name, double deviation) {
    EXPECT_NEAR(parameters[name].std().item<double>(), deviation, 0.05 * deviation) << name;
    EXPECT_NEAR(parameters[name].mean().item<double>(), 0.0, 0.05 * deviation) << name;
  };
  expect_deviation("patch_embed.proj.weight", 1.0 / std::sqrt(3.0 * 4 * 4));
  expect_deviation("pos_embed", 1.0 / std::sqrt(96.0));
  expect_deviation("blocks.0.attn.qkv.weight", std::sqrt(2.0 / (96 + 96)));
  expect_deviation("blocks.0.attn.proj.weight", std::sqrt(2.0 / (96 + 96)));
  expect_deviation("blocks.0.mlp.fc1.weight", std::sqrt(2.0 / (96 + 192)));
  expect_deviation("blocks.0.mlp.fc2.weight", std::sqrt(2.0 / (96 + 192)));
  for (const auto& parameter : parameters) {
    const auto& name = parameter.key();
    const bool is_norm = name.find("norm") != std::string::npos;
    const bool in_mlp = name.find("mlp") != std::string::npos;
    if (name == "head.bias") {
      EXPECT_TRUE(parameter.value().eq(-2.5).all().item<bool>());
    } else if (name == "head.weight" || name == "cls_token" ||
               (name.ends_with("bias") && !in_mlp)) {
      EXPECT_TRUE(parameter.value().eq(0).all().item<bool>()) << name;
    } else if (name.ends_with("bias")) {
      EXPECT_NEAR(parameter.value().std().item<double>(), 1e-6, 2e-7) << name;
    } else if (is_norm) {
      EXPECT_TRUE(parameter.value().eq(1).all().item<bool>()) << name;
    } else if (name.ends_with("gamma")) {
      EXPECT_TRUE(parameter.value().eq(0.25).all().item<bool>()) << name;
    }
  }
}

TEST(VisionTransformer, FixedPositionsAreNoParametersAndNoBuffers) {
  auto options = small_options();
  options.pos_embed = PositionEmbedding::kSinCos2d;
  const VisionTransformer model(options);
  EXPECT_FALSE(model->named_parameters().contains("pos_embed"));
  EXPECT_EQ(model->buffers().size(), 0U);
}

}  // namespace
}  // namespace softmoe
