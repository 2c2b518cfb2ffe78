#include "inference/inference_model.h"

#include <ATen/Parallel.h>
#include <gmock/gmock.h>

#include <array>
#include <cmath>
#include <functional>
#include <ostream>

#include "checkpoints/model_checkpoint.h"
#include "core/error.h"
#include "softmoe/routers.h"
#include "support/levels.h"
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
  for (const auto& row : router_rows()) {
    if (row.mixing && row.name != soft.moe.router) {
      cases.push_back(
          {std::string(row.name), deep(test::small_moe_options(std::string(row.name)))});
    }
  }
  return cases;
}

constexpr std::array kPrecisions{Precision::kFloat32, Precision::kBFloat16, Precision::kInt8,
                                 Precision::kInt8Experts};

double largest_error(Precision precision) {
  return precision == Precision::kFloat32 ? 2e-6 : precision == Precision::kInt8 ? 5e-2 : 2e-2;
}

/// Returns true if the level in use packs models in `precision`; modules serve the others.
bool is_packed(Precision precision) {
  return precision != Precision::kFloat32 || kernels::has(kernels::Need::kFp32);
}

class PackedInferenceTest : public testing::TestWithParam<ModelCase> {
 protected:
  /// The logits of the modules in fp32, and those of the packed model.
  void expect_agreement(Precision precision) {
    const auto options = GetParam().options;
    auto model = test::lively_model(options);
    model->eval();
    const auto images = test::random_images(options, /*batch=*/3);
    const torch::NoGradGuard no_grad;
    const auto features = model->forward_features(images);  // [batch, feature_dim]
    const auto logits = model->forward_head(features);      // [batch, num_classes]
    InferenceModel packed(model, precision);
    EXPECT_EQ(packed.is_packed(), is_packed(precision));
    EXPECT_LT(relative_error(packed.forward_features(images), features), largest_error(precision));
    EXPECT_LT(relative_error(packed.forward(images), logits), largest_error(precision));
  }
};

TEST_P(PackedInferenceTest, AgreesWithModulesInFp32) { expect_agreement(Precision::kFloat32); }

TEST_P(PackedInferenceTest, AgreesWithModulesInBf16) { expect_agreement(Precision::kBFloat16); }

TEST_P(PackedInferenceTest, AgreesWithModulesInInt8) { expect_agreement(Precision::kInt8); }

TEST_P(PackedInferenceTest, AgreesWithModulesWithInt8Experts) {
  expect_agreement(Precision::kInt8Experts);
}

TEST_P(PackedInferenceTest, GivesEachImageTheSameWhateverIsBesideIt) {
  const auto options = GetParam().options;
  const auto images = test::random_images(options, /*batch=*/7);
  for (const auto precision : {Precision::kBFloat16, Precision::kInt8}) {
    InferenceModel packed(test::lively_model(options), precision);
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

INSTANTIATE_TEST_SUITE_P(Models, PackedInferenceTest, testing::ValuesIn(model_cases()),
                         [](const auto& item) { return item.param.name; });

using InferenceOnLevel = test::LevelTest;
INSTANTIATE_TEST_SUITE_P(Levels, InferenceOnLevel, test::every_level(), test::level_name);

TEST_P(InferenceOnLevel, AgreesWithModulesInFp64InEveryPrecision) {
  for (const auto& options : {deep(test::small_options()), deep(test::small_moe_options())}) {
    const auto images = test::random_images(options, /*batch=*/3);
    auto exact = test::lively_model(options);
    exact->to(torch::kFloat64);
    exact->eval();
    const torch::NoGradGuard no_grad;
    const auto expected = exact->forward(images.to(torch::kFloat64));  // [batch, num_classes]
    for (const auto precision : kPrecisions) {
      SCOPED_TRACE(options.moe_blocks + " blocks of experts in " + enum_name(precision));
      InferenceModel model(test::lively_model(options), precision);
      EXPECT_EQ(model.is_packed(), is_packed(precision));
      const auto logits = model.forward(images);  // [batch, num_classes]
      EXPECT_LT(relative_error(logits, expected), largest_error(precision));
      if (model.is_packed()) {
        EXPECT_TRUE(same_bits(model.forward(images.slice(0, 1, 2)), logits.slice(0, 1, 2)));
      }
    }
  }
}

// Weights are large, as training makes them, so that blocks amplify what those before them rounded.
TEST(InferenceModel, Int8IsNearlyAsPreciseAsBf16) {
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
  const auto error = [&](Precision precision) {
    return relative_error(InferenceModel(model, precision).forward(images), logits);
  };
  // 1.2 times as large; with 8 bits in all blocks 2.2 times.
  EXPECT_LT(error(Precision::kInt8), 1.5 * error(Precision::kBFloat16));
}

TEST(InferenceModel, TakesLargeScalesThroughModules) {
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
  InferenceModel packed(model, Precision::kFloat32);
  EXPECT_FALSE(packed.is_packed());
  EXPECT_TRUE(all_close(packed.forward(images), expected));
}

TEST(InferenceModel, TakesOverTheMemoryOfBf16Weights) {
  auto options = test::small_moe_options();
  options.dim = 64;
  options.mlp_dim = 96;
  auto model = test::lively_model(options);
  model->to(torch::kBFloat16);
  model->eval();
  const auto images = test::random_images(options);
  const torch::NoGradGuard no_grad;
  InferenceModel copied(model, Precision::kBFloat16);
  NamedTensors weights;
  for (const auto& [name, tensor] : named_tensors(*model)) {
    weights[name] = tensor.clone();
  }
  InferenceModel taken(options, std::move(weights), "weights", Precision::kBFloat16);
  EXPECT_TRUE(same_bits(taken.forward(images), copied.forward(images)));
}

TEST(InferenceModel, NamesTensorsThatDoNotFit) {
  const auto options = test::small_options();
  auto weights = named_tensors(*test::lively_model(options));
  weights.erase("blocks.1.attn.qkv.weight");
  weights["more"] = torch::zeros({2});
  weights["norm.weight"] = torch::zeros({5});
  try {
    InferenceModel packed(options, weights, "a file", Precision::kFloat32);
    FAIL() << "no error";
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr("a file"));
    EXPECT_THAT(error.what(), HasSubstr("blocks.1.attn.qkv.weight"));
    EXPECT_THAT(error.what(), HasSubstr("more"));
    EXPECT_THAT(error.what(), HasSubstr("norm.weight [5]"));
  }
}

TEST_P(InferenceOnLevel, LetsNaNThrough) {
  const auto options = test::small_moe_options();
  auto images = test::random_images(options);
  images[1][0][0][0] = std::nan("");
  for (const auto precision : kPrecisions) {
    SCOPED_TRACE(enum_name(precision));
    InferenceModel packed(test::lively_model(options), precision);
    const auto logits = packed.forward(images);
    EXPECT_TRUE(logits[0].isfinite().all().item<bool>());
    EXPECT_TRUE(logits[1].isnan().all().item<bool>());
  }
}

TEST(InferenceModel, RefusesImagesOfAnotherSize) {
  InferenceModel packed(test::lively_model(test::small_options()), Precision::kFloat32);
  EXPECT_THROW(packed.forward(torch::zeros({1, 3, 12, 8})), c10::ValueError);
  EXPECT_THROW(packed.forward_head(torch::zeros({1, 23})), c10::ValueError);
}

}  // namespace
}  // namespace softmoe
