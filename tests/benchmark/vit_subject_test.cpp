#include "benchmark/vit_subject.h"

#include "ops/compute_precision.h"
#include "runtime/device.h"
#include "vit/small_models.h"

namespace softmoe {
namespace {

VitOptions tiny_options() {
  auto options = test::small_moe_options();
  options.qk_norm = true;
  return options;
}

TEST(VitSubject, IsMadeInTheDtypeItInfersIn) {
  for (const auto& device : present_devices()) {
    for (const auto precision : {Precision::kFloat32, Precision::kBFloat16}) {
      const auto subject = vit_subject("tiny", tiny_options());
      EXPECT_EQ(subject.image_shape, (std::vector<int64_t>{3, 8, 12}));
      const auto model = subject.make(ThroughputMode::kInfer, precision, device);
      const torch::NoGradGuard no_grad;
      const auto output = model.infer(
          torch::rand({5, 3, 8, 12}).to(device, tensor_dtype(precision)));  // [batch, classes]
      EXPECT_EQ(output.sizes(), (std::vector<int64_t>{5, subject.outputs}));
      EXPECT_TRUE(output.isfinite().all().item<bool>());
      EXPECT_GT(output.std().item<double>(), 1e-3);
    }
  }
}

TEST(VitSubject, CountsTheParametersOfTheModel) {
  const auto subject = vit_subject("tiny", tiny_options());
  int64_t parameters = 0;
  for (const auto& parameter : VisionTransformer(tiny_options())->parameters()) {
    parameters += parameter.numel();
  }
  EXPECT_EQ(subject.parameters, parameters);
  auto headless = tiny_options();
  headless.num_classes = 0;
  EXPECT_EQ(vit_subject("tiny", headless).outputs, 24);
}

TEST(VitSubject, TrainsByTheStepOfItsCaller) {
  torch::Dtype seen = torch::kFloat64;
  const auto factory = [&seen](VisionTransformer model, torch::Dtype dtype) {
    seen = dtype;
    EXPECT_TRUE(model->is_training());
    return [model](const torch::Tensor& images, const torch::Tensor& labels) mutable {
      const auto logits = model->forward(images);  // [batch, classes]
      return torch::nll_loss(logits.log_softmax(1), labels);
    };
  };
  const auto model = vit_subject("tiny", tiny_options(), factory)
                         .make(ThroughputMode::kTrain, Precision::kBFloat16, torch::kCPU);
  EXPECT_EQ(seen, torch::kBFloat16);
  const auto loss = model.train(torch::rand({2, 3, 8, 12}), torch::tensor({1, 6}, torch::kInt64));
  EXPECT_EQ(loss.scalar_type(), torch::kFloat32);
  EXPECT_TRUE(loss.isfinite().item<bool>());
  EXPECT_THROW(vit_subject("tiny", tiny_options())
                   .make(ThroughputMode::kTrain, Precision::kFloat32, torch::kCPU),
               c10::ValueError);
}

TEST(VitSubject, InfersByTheFunctionOfItsCaller) {
  auto seen = Precision::kFloat32;
  const auto infer = [&seen](VisionTransformer model, Precision precision) {
    seen = precision;
    EXPECT_FALSE(model->is_training());
    EXPECT_EQ(model->parameters().front().scalar_type(), tensor_dtype(precision));
    return [](const torch::Tensor& images) { return torch::full({images.size(0), 7}, 3.0); };
  };
  const auto subject = vit_subject("tiny", tiny_options(), nullptr, infer);
  const auto model = subject.make(ThroughputMode::kInfer, Precision::kInt8, torch::kCPU);
  EXPECT_EQ(seen, Precision::kInt8);
  EXPECT_EQ(model.infer(torch::zeros({2, 3, 8, 12}))[1][4].item<double>(), 3.0);
  EXPECT_THROW(vit_subject("tiny", tiny_options())
                   .make(ThroughputMode::kInfer, Precision::kInt8, torch::kCPU),
               c10::ValueError);
}

TEST(VitSubject, FilledWeightsAreVariedAndBounded) {
  VisionTransformer model(tiny_options());
  fill_parameters(*model);
  for (const auto& item : model->named_parameters()) {
    const auto& value = item.value();
    if (value.dim() < 2) {
      EXPECT_EQ(value.min().item<double>(), item.key().ends_with("bias") ? 0.0 : 1.0) << item.key();
      continue;
    }
    const double fan = static_cast<double>(value.size(-1) + value.size(-2));
    EXPECT_LE(value.abs().max().item<double>(), std::sqrt(6.0 / fan)) << item.key();
    EXPECT_GT(value.abs().max().item<double>(), 0.8 * std::sqrt(6.0 / fan)) << item.key();
  }
}

}  // namespace
}  // namespace softmoe
