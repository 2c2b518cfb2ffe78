#include "train/adamw_8bit.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "train/memory_plan.h"
#include "train/optimizer_cases.h"
#include "vit/zoo.h"

namespace softmoe {
namespace {

/// A network of two layers and the task of a teacher that it learns.
class TwoLayers {
 public:
  explicit TwoLayers(const std::string& optimizer) {
    torch::manual_seed(2);
    parameters_ = {{"fc1.weight", (torch::randn({128, 64}) / 8).requires_grad_()},
                   {"fc1.bias", torch::zeros({128}).requires_grad_()},
                   {"fc2.weight", (torch::randn({40, 128}) / 11).requires_grad_()}};
    teacher_ = torch::randn({40, 64}) / 8;
    OptimizerOptions options;
    options.opt = optimizer;
    options.weight_decay = 0.01;
    optimizer_ = make_optimizer(parameters_, options);
  }

  /// The loss of update `step`.
  double update(int64_t step) {
    torch::manual_seed(1000 + step);
    const auto x = torch::randn({64, 64});
    const auto hidden =
        torch::linear(x, parameters_[0].tensor, parameters_[1].tensor).relu();  // [batch, hidden]
    const auto y = torch::linear(hidden, parameters_[2].tensor);                // [batch, outputs]
    const auto loss = (y - x.matmul(teacher_.t()).tanh()).square().mean();      // []
    loss.backward();
    optimizer_->clip_and_step(3e-3, 1.0);
    optimizer_->zero_grad();
    return loss.item<double>();
  }

  Optimizer& optimizer() { return *optimizer_; }
  test::Parameters& parameters() { return parameters_; }

 private:
  test::Parameters parameters_;
  torch::Tensor teacher_;
  std::unique_ptr<Optimizer> optimizer_;
};

TEST(AdamW8Bit, LearnsAsFastAsWithMomentsInFp32) {
  TwoLayers exact("adamw");
  TwoLayers quantized("adamw8bit");
  const double first = exact.update(0);
  EXPECT_EQ(quantized.update(0), first);
  double exact_sum = 0.0;
  double quantized_sum = 0.0;
  for (int64_t step = 1; step <= 300; ++step) {
    exact_sum += exact.update(step);
    quantized_sum += quantized.update(step);
    if (step % 50 == 0) {
      EXPECT_NEAR(quantized_sum / exact_sum, 1.0, 0.05) << step;
      exact_sum = quantized_sum = 0.0;
    }
  }
  EXPECT_LT(exact.update(301), first / 4);
}

TEST(AdamW8Bit, ResumesToTheSameBits) {
  TwoLayers whole("adamw8bit");
  TwoLayers resumed("adamw8bit");
  for (int64_t step = 0; step < 4; ++step) {
    whole.update(step);
  }
  auto state = whole.optimizer().state();
  EXPECT_EQ(state.at("exp_avg/fc1.weight").scalar_type(), torch::kUInt8);
  EXPECT_EQ(state.at("exp_avg_sq_scale/fc1.weight").numel(), 32);
  EXPECT_FALSE(state.contains("exp_avg_scale/fc1.bias"));
  resumed.optimizer().load_state(state);
  for (size_t i = 0; i < whole.parameters().size(); ++i) {
    const torch::NoGradGuard no_grad;
    resumed.parameters()[i].tensor.copy_(whole.parameters()[i].tensor);
  }
  for (int64_t step = 4; step < 8; ++step) {
    whole.update(step);
    resumed.update(step);
  }
  test::expect_same_bits(resumed.parameters(), whole.parameters());
  state.erase("exp_avg_scale/fc1.weight");
  EXPECT_THROW(resumed.optimizer().load_state(state), InputError);
}

TEST(AdamW8Bit, TakesAQuarterOfTheMemory) {
  const auto model = model_preset("vit_s16");
  RunOptions options;
  const auto exact = plan_memory(model, options, Precision::kFloat32);
  options.optimizer.opt = "adamw8bit";
  const auto quantized = plan_memory(model, options, Precision::kFloat32);
  EXPECT_NEAR(static_cast<double>(quantized.optimizer) / static_cast<double>(exact.optimizer),
              (2.0 + 8.0 / 256) / 8.0, 0.005);
}

}  // namespace
}  // namespace softmoe
