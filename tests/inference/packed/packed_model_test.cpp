#include "inference/packed/packed_model.h"

#include <ATen/Parallel.h>
#include <gmock/gmock.h>

#include <cmath>
#include <functional>
#include <ostream>

#include "checkpoints/model_checkpoint.h"
#include "core/error.h"
#include "kernels/packed_product.h"
#include "support/tensor_matcher.h"
#include "vit/small_models.h"

namespace softmoe {
namespace {

using test::all_close;
using test::changed;
using test::ModelCase;
using test::same_bits;
using testing::HasSubstr;

/// Root of the mean square difference over the root of the mean square.
double relative_error(const torch::Tensor& actual, const torch::Tensor& expected) {
  return ((actual - expected).norm() / expected.norm()).item<double>();
}

/// Deep enough that int8 models have blocks of both kinds.
VitOptions deep(VitOptions options) {
  options.depth = 5;
  return options;
}

/// Models with every part that can be packed, in sizes that fill no vector and no panel.
std::vector<ModelCase> model_cases() {
  const auto dense = deep(test::small_options());
  const auto soft = deep(test::small_moe_options());
  auto cases = test::prefix_and_pooling_cases(dense, soft);
  cases.insert(
      cases.end(),
      {{"Dense", dense},
       {"SoftMoe", soft},
       {"ExactGelu", changed(dense, [](auto& options) { options.gelu = Activation::kGeluExact; })},
       {"PooledNormAndSinCos", changed(dense,
                                       [](auto& options) {
                                         options.final_norm = FinalNorm::kPooled;
                                         options.pos_embed = PositionEmbedding::kSinCos2d;
                                         options.class_token = true;
                                       })},
       {"QkNormLayerScale", changed(soft,
                                    [](auto& options) {
                                      options.qk_norm = true;
                                      options.layer_scale = 0.4;
                                    })},
       {"SwiGlu", changed(dense, [](auto& options) { options.mlp_layer = MlpLayer::kSwiGlu; })},
       {"SwiGluManyChunksLayerScale", changed(dense,
                                              [](auto& options) {
                                                options.img_size = {40, 52};
                                                options.mlp_layer = MlpLayer::kSwiGlu;
                                                options.mlp_dim = 2100;
                                                options.layer_scale = 0.4;
                                              })},
       {"ManyTokensAndSlots", changed(soft,
                                      [](auto& options) {
                                        options.img_size = {40, 52};
                                        options.moe.experts = 37;
                                        options.moe.slots_per_expert = 1;
                                        options.mlp_dim = 1100;
                                        options.dim = 60;
                                        options.heads = 3;
                                      })},
       {"ManySlotsAnExpert", changed(soft, [](auto& options) {
          options.img_size = {24, 12};
          options.class_token = true;
          options.moe.slots_per_expert = 35;
        })}});
  return cases;
}

class PackedModelTest : public testing::TestWithParam<ModelCase> {
 protected:
  void SetUp() override {
    if (!kernels::supported(kernels::Arithmetic::kInt8)) {
      GTEST_SKIP() << "the processor has no AVX-512 with BF16 and VNNI";
    }
  }

  /// The logits of the modules in fp32, and those of the packed model.
  void expect_agreement(InferenceDtype dtype, double tolerance) {
    const auto options = GetParam().options;
    auto model = test::lively_model(options);
    model->eval();
    const auto images = test::random_images(options, /*batch=*/3);
    const torch::NoGradGuard no_grad;
    const auto features = model->forward_features(images);  // [batch, feature_dim]
    const auto logits = model->forward_head(features);      // [batch, num_classes]
    PackedModel packed(model, dtype);
    ASSERT_TRUE(packed.is_packed());
    EXPECT_LT(relative_error(packed.forward_features(images), features), tolerance);
    EXPECT_LT(relative_error(packed.forward(images), logits), tolerance);
  }
};

TEST_P(PackedModelTest, AgreesWithModulesInFp32) {
  expect_agreement(InferenceDtype::kFloat32, 2e-6);
}

TEST_P(PackedModelTest, AgreesWithModulesInBf16) {
  expect_agreement(InferenceDtype::kBFloat16, 2e-2);
}

TEST_P(PackedModelTest, AgreesWithModulesInInt8) { expect_agreement(InferenceDtype::kInt8, 5e-2); }

TEST_P(PackedModelTest, AgreesWithModulesWithInt8Experts) {
  expect_agreement(InferenceDtype::kInt8Experts, 2e-2);
}

TEST_P(PackedModelTest, GivesEachImageTheSameWhateverIsBesideIt) {
  const auto options = GetParam().options;
  const auto images = test::random_images(options, /*batch=*/7);
  for (const auto dtype : {InferenceDtype::kBFloat16, InferenceDtype::kInt8}) {
    PackedModel packed(test::lively_model(options), dtype);
    const auto together = packed.forward(images);  // [batch, outputs]
    const int threads = at::get_num_threads();
    for (const int count : {1, 2, 3}) {
      at::set_num_threads(count);
      // One image that threads share, and two images for each thread.
      for (const int64_t batch : {1, 2 * count}) {
        for (int64_t first = 0; first + batch <= images.size(0); first += batch) {
          EXPECT_TRUE(same_bits(packed.forward(images.slice(0, first, first + batch)),
                                together.slice(0, first, first + batch)))
              << count << " threads, " << batch << " images from " << first;
        }
      }
    }
    at::set_num_threads(threads);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, PackedModelTest, testing::ValuesIn(model_cases()),
                         [](const auto& item) { return item.param.name; });

TEST(PackedLayers, Int8StartsWithMoreBitsButForExperts) {
  using kernels::Arithmetic;
  if (!kernels::supported(Arithmetic::kInt8)) {
    GTEST_SKIP() << "the processor has no AVX-512 with BF16 and VNNI";
  }
  auto options = deep(test::small_moe_options());
  options.moe_blocks = "1,3";
  const auto layers =
      pack_layers(options, named_tensors(*test::lively_model(options)), InferenceDtype::kInt8);
  EXPECT_EQ(layers.patch.arithmetic(), Arithmetic::kFloat32);
  for (size_t index = 0; index < layers.blocks.size(); ++index) {
    const auto& block = layers.blocks[index];
    const auto attention = index < 4 ? Arithmetic::kBFloat16 : Arithmetic::kInt8;
    const auto mlp = index == 0 ? Arithmetic::kBFloat16 : Arithmetic::kInt8;
    EXPECT_EQ(block.qkv.arithmetic(), attention) << index;
    EXPECT_EQ(block.proj.arithmetic(), attention) << index;
    EXPECT_EQ(block.mlp.fc1.arithmetic(), mlp) << index;
    EXPECT_EQ(block.mlp.fc2.arithmetic(), mlp) << index;
    EXPECT_FALSE(block.mlp.fc1.wide_rows()) << index;
  }
  options.moe_blocks = "none";
  const auto dense =
      pack_layers(options, named_tensors(*test::lively_model(options)), InferenceDtype::kInt8);
  EXPECT_EQ(dense.blocks[1].mlp.fc1.arithmetic(), Arithmetic::kBFloat16);
  EXPECT_EQ(dense.blocks[2].mlp.fc1.arithmetic(), Arithmetic::kInt8);
}

// Weights are large, as training makes them, so that blocks amplify what those before them rounded.
TEST(PackedModel, Int8IsNearlyAsPreciseAsBf16) {
  if (!kernels::supported(kernels::Arithmetic::kInt8)) {
    GTEST_SKIP() << "the processor has no AVX-512 with BF16 and VNNI";
  }
  auto options = test::small_options();
  options.dim = 64;
  options.heads = 4;
  options.mlp_dim = 250;
  options.depth = 6;
  options.num_classes = 11;
  auto model = test::lively_model(options);
  model->eval();
  const torch::NoGradGuard no_grad;
  for (auto& parameter : model->named_parameters()) {
    if (parameter.key().starts_with("blocks.") && parameter.value().dim() == 2) {
      parameter.value().mul_(3.0);
    }
  }
  const auto images = test::random_images(options, /*batch=*/64);
  const auto logits = model->forward(images);  // [batch, num_classes]
  const auto error = [&](InferenceDtype dtype) {
    return relative_error(PackedModel(model, dtype).forward(images), logits);
  };
  // 1.2 times as large; with 8 bits in all blocks 2.2 times.
  EXPECT_LT(error(InferenceDtype::kInt8), 1.5 * error(InferenceDtype::kBFloat16));
}

TEST(PackedModel, TakesOtherRoutersThroughModules) {
  const auto options = test::small_moe_options("experts_choice");
  auto model = test::lively_model(options);
  model->eval();
  const auto images = test::random_images(options);
  const torch::NoGradGuard no_grad;
  const auto expected = model->forward(images);
  PackedModel packed(model, InferenceDtype::kFloat32);
  EXPECT_FALSE(packed.is_packed());
  EXPECT_TRUE(all_close(packed.forward(images), expected));
  EXPECT_THROW(PackedModel(model, InferenceDtype::kInt8), UsageError);
}

TEST(PackedModel, TakesLargeScalesThroughModules) {
  const auto options = test::small_moe_options();
  auto model = test::lively_model(options);
  model->eval();
  const torch::NoGradGuard no_grad;
  for (auto& parameter : model->named_parameters()) {
    if (parameter.key().ends_with("router.scale")) {
      parameter.value().fill_(-300.0);
    }
  }
  const auto images = test::random_images(options);
  const auto expected = model->forward(images);
  PackedModel packed(model, InferenceDtype::kFloat32);
  EXPECT_FALSE(packed.is_packed());
  EXPECT_TRUE(all_close(packed.forward(images), expected));
}

TEST(PackedModel, TakesOverTheMemoryOfBf16Weights) {
  if (!kernels::supported(kernels::Arithmetic::kBFloat16)) {
    GTEST_SKIP() << "the processor has no AVX-512 with BF16";
  }
  auto options = test::small_moe_options();
  options.dim = 64;
  options.mlp_dim = 96;
  auto model = test::lively_model(options);
  model->to(torch::kBFloat16);
  model->eval();
  const auto images = test::random_images(options);
  const torch::NoGradGuard no_grad;
  PackedModel copied(model, InferenceDtype::kBFloat16);
  NamedTensors weights;
  for (const auto& [name, tensor] : named_tensors(*model)) {
    weights[name] = tensor.clone();
  }
  PackedModel taken(options, std::move(weights), "weights", InferenceDtype::kBFloat16);
  EXPECT_TRUE(same_bits(taken.forward(images), copied.forward(images)));
}

TEST(PackedModel, NamesTensorsThatDoNotFit) {
  const auto options = test::small_options();
  auto weights = named_tensors(*test::lively_model(options));
  weights.erase("blocks.1.attn.qkv.weight");
  weights["more"] = torch::zeros({2});
  weights["norm.weight"] = torch::zeros({5});
  try {
    PackedModel packed(options, weights, "a file", InferenceDtype::kFloat32);
    FAIL() << "no error";
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr("a file"));
    EXPECT_THAT(error.what(), HasSubstr("blocks.1.attn.qkv.weight"));
    EXPECT_THAT(error.what(), HasSubstr("more"));
    EXPECT_THAT(error.what(), HasSubstr("norm.weight [5]"));
  }
}

TEST(PackedModel, LetsNaNThrough) {
  const auto options = test::small_moe_options();
  auto images = test::random_images(options);
  images[1][0][0][0] = std::nan("");
  for (const auto dtype : {InferenceDtype::kFloat32, InferenceDtype::kBFloat16,
                           InferenceDtype::kInt8, InferenceDtype::kInt8Experts}) {
    PackedModel packed(test::lively_model(options), dtype);
    const auto logits = packed.forward(images);
    EXPECT_TRUE(logits[0].isfinite().all().item<bool>());
    EXPECT_TRUE(logits[1].isnan().all().item<bool>());
  }
}

TEST(PackedModel, RefusesImagesOfAnotherSize) {
  PackedModel packed(test::lively_model(test::small_options()), InferenceDtype::kFloat32);
  EXPECT_THROW(packed.forward(torch::zeros({1, 3, 12, 8})), c10::ValueError);
  EXPECT_THROW(packed.forward_head(torch::zeros({1, 23})), c10::ValueError);
}

}  // namespace
}  // namespace softmoe
