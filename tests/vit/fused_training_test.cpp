#include <ATen/Context.h>

#include <map>

#include "ops/compute_precision.h"
#include "runtime/autocast_guard.h"
#include "support/levels.h"
#include "support/tensor_matcher.h"
#include "vit/vision_transformer.h"

namespace softmoe {
namespace {

struct Variant {
  std::string name;
  std::function<void(VitOptions&)> change;
};

void PrintTo(const Variant& variant, std::ostream* out) { *out << variant.name; }

VitOptions options_of(const Variant& variant) {
  VitOptions options;
  options.img_size = {12, 20};
  options.patch_size = 4;
  options.in_chans = 2;
  options.num_classes = 7;
  options.dim = 48;
  options.depth = 3;
  options.heads = 3;
  options.mlp_dim = 80;
  options.moe.experts = 5;
  variant.change(options);
  return options;
}

/// What one step of training computes.
struct Step {
  torch::Tensor logits;
  std::map<std::string, torch::Tensor> gradients;
};

Step train_step(VisionTransformer& model, Precision precision) {
  model->zero_grad();
  at::manual_seed(9);
  const auto images = torch::randn({6, 2, 12, 20});
  const auto direction = torch::randn({6, 7});
  Step step;
  {
    const AutocastGuard autocast(torch::kCPU, tensor_dtype(precision));
    step.logits = model(images).to(torch::kFloat32);  // [batch, classes]
  }
  (step.logits * direction).sum().backward();
  for (const auto& item : model->named_parameters()) {
    step.gradients[item.key()] = item.value().grad().clone();
  }
  return step;
}

double relative_error(const torch::Tensor& actual, const torch::Tensor& expected) {
  return ((actual - expected).norm() / expected.norm().clamp_min(1e-12)).item<double>();
}

class FusedTraining : public testing::TestWithParam<Variant> {
 protected:
  void SetUp() override {
    at::manual_seed(2);
    model_ = VisionTransformer(options_of(GetParam()));
    for (auto& parameter : model_->parameters()) {
      // Heads start at zero and norms at one, where much of the model would not matter.
      parameter.data().add_(0.1 * torch::randn_like(parameter));
    }
    model_->train();
  }

  VisionTransformer model_{nullptr};
};

TEST_P(FusedTraining, ComputesWhatLibtorchsOperatorsComputeOnEveryLevel) {
  for (const auto precision : test::kKernelPrecisions) {
    SCOPED_TRACE(enum_name(precision));
    const bool is_bf16 = precision == Precision::kBFloat16;
    Step expected;
    // The portable level, the first one, leaves training to libtorch's operators.
    test::on_every_level([&] {
      if (kernels::level() == kernels::Level::kPortable) {
        expected = train_step(model_, precision);
        return;
      }
      const auto actual = train_step(model_, precision);
      EXPECT_FALSE(torch::equal(actual.logits, expected.logits)) << "the same operators ran twice";
      EXPECT_LT(relative_error(actual.logits, expected.logits), is_bf16 ? 2e-2 : 2e-6);
      for (const auto& [name, gradient] : expected.gradients) {
        EXPECT_LT(relative_error(actual.gradients.at(name), gradient), is_bf16 ? 5e-2 : 5e-6)
            << name;
      }
    });
  }
}

TEST_P(FusedTraining, GivesTheSameBitsAgain) {
  for (const auto precision : test::kKernelPrecisions) {
    const auto first = train_step(model_, precision);
    const auto second = train_step(model_, precision);
    EXPECT_TRUE(test::same_bits(second.logits, first.logits));
    for (const auto& [name, gradient] : first.gradients) {
      EXPECT_TRUE(test::same_bits(second.gradients.at(name), gradient)) << name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Models, FusedTraining,
    testing::Values(Variant{"Dense", [](VitOptions&) {}},
                    Variant{"SoftMoe",
                            [](VitOptions& options) {
                              options.moe_blocks = "last_2";
                              options.moe.slots_per_expert = 2;
                            }},
                    Variant{"QkNormLayerScaleClassToken",
                            [](VitOptions& options) {
                              options.qk_norm = true;
                              options.layer_scale = 0.5;
                              options.class_token = true;
                              options.gelu = Activation::kGeluExact;
                            }},
                    Variant{"QuickGeluPreNormRegisters",
                            [](VitOptions& options) {
                              options.gelu = Activation::kGeluQuick;
                              options.pre_norm = true;
                              options.patch_bias = false;
                              options.reg_tokens = 2;
                              options.pos_embed_prefix = false;
                            }},
                    Variant{"SwiGluTokenAvg",
                            [](VitOptions& options) {
                              options.mlp_layer = MlpLayer::kSwiGlu;
                              options.class_token = true;
                              options.global_pool = GlobalPool::kTokenAvg;
                            }},
                    Variant{"DropPath", [](VitOptions& options) { options.drop_path = 0.5; }},
                    Variant{"MapHead",
                            [](VitOptions& options) { options.global_pool = GlobalPool::kMap; }}),
    [](const auto& test_case) { return test_case.param.name; });

}  // namespace
}  // namespace softmoe
