// Models on CUDA; skipped where there is none.

#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <gtest/gtest.h>
#include <torch/cuda.h>

#include <functional>
#include <ostream>
#include <thread>

#include "checkpoints/model_checkpoint.h"
#include "inference/inference_model.h"
#include "inference/modules/module_engine.h"
#include "softmoe/routers.h"
#include "support/tensor_matcher.h"
#include "vit/small_models.h"
#ifdef SOFTMOE_WITH_CUDA
#include "inference/modules/cuda_graph.h"
#endif

namespace softmoe {
namespace {

using test::changed;
using test::ModelCase;
using test::same_bits;

const torch::Device kGpu(torch::kCUDA, 0);

std::vector<ModelCase> cuda_cases() {
  const auto dense = test::small_options();
  const auto soft = test::small_moe_options();
  std::vector<ModelCase> cases{
      {"Dense", dense},
      {"SinCosClassTokenAndRegisters", changed(dense,
                                               [](auto& options) {
                                                 options.pos_embed = PositionEmbedding::kSinCos2d;
                                                 options.class_token = true;
                                                 options.reg_tokens = 2;
                                                 options.global_pool = GlobalPool::kToken;
                                               })},
      {"QkNormLayerScaleAttentionPooling", changed(soft,
                                                   [](auto& options) {
                                                     options.qk_norm = true;
                                                     options.layer_scale = 0.4;
                                                     options.global_pool = GlobalPool::kMap;
                                                   })},
      {"SwiGlu", changed(dense, [](auto& options) { options.mlp_layer = MlpLayer::kSwiGlu; })},
      {"TokenAvg", test::with_token_avg(soft)},
      {"ManySlots", changed(soft, [](auto& options) {
         options.dim = 64;
         options.heads = 2;
         options.mlp_dim = 160;
         options.img_size = {32, 24};
         options.moe.experts = 16;
         options.moe.slots_per_expert = 3;
       })}};
  for (const auto& row : router_rows()) {
    cases.push_back(
        {"Router_" + std::string(row.name), test::small_moe_options(std::string(row.name))});
  }
  return cases;
}

double error_of(const torch::Tensor& actual, const torch::Tensor& expected) {
  return ((actual.cpu() - expected).norm() / expected.norm()).item<double>();
}

/// Returns true if rounding may send a token to another expert.
bool is_sparse(const VitOptions& options) {
  return has_moe(options) && router_row(options.moe.router).kind == RoutingKind::kSparse;
}

torch::Tensor batch_of_images(const VitOptions& options, int64_t batch, uint64_t seed) {
  torch::manual_seed(seed);
  return torch::rand({batch, options.in_chans, options.image_height(), options.image_width()}) * 2 -
         1;  // [batch, in_chans, height, width]
}

class CudaEngineTest : public testing::TestWithParam<ModelCase> {
 protected:
  void SetUp() override {
    if (!torch::cuda::is_available()) {
      GTEST_SKIP() << "no CUDA device";
    }
  }

  const VitOptions& options() const { return GetParam().options; }

  VisionTransformer model() const {
    auto model = test::lively_model(options());
    model->eval();
    return model;
  }

  InferenceModel packed(Precision precision) const {
    return {options(), named_tensors(*model()), "model", precision, kGpu};
  }

  /// The modules on the CPU in fp32 against what runs on CUDA, batch sizes in turn: each is run
  /// operator by operator, recorded and replayed.
  void expect_agreement(Precision precision, double tolerance) {
    auto modules = model();
    auto packed = this->packed(precision);
    const torch::NoGradGuard no_grad;
    uint64_t seed = 1;
    for (const int64_t batch : {3, 1, 3, 3, 1, 5, 1, 3, 1, 5, 5}) {
      const auto images = batch_of_images(options(), batch, seed++);
      const auto logits = packed.forward(seed % 2 == 0 ? images : images.to(kGpu));
      EXPECT_EQ(logits.device(), kGpu);
      EXPECT_EQ(logits.scalar_type(), torch::kFloat32);
      EXPECT_LT(error_of(logits, modules->forward(images)), tolerance)
          << "call " << seed << ", batch " << batch;
    }
  }
};

TEST_P(CudaEngineTest, AgreesWithModulesInFp32) { expect_agreement(Precision::kFloat32, 1e-5); }

TEST_P(CudaEngineTest, AgreesWithModulesInBf16) {
  if (is_sparse(options())) {
    GTEST_SKIP() << "rounding may send a token to another expert";
  }
  expect_agreement(Precision::kBFloat16, 2e-2);
}

TEST_P(CudaEngineTest, RecordsGraphsWhereTheRouterAllowsIt) {
  ModuleEngine engine(options(), named_tensors(*model()), Precision::kBFloat16, kGpu);
  ASSERT_EQ(engine.graphs() != nullptr, is_recordable(options()));
  const torch::InferenceMode inference;
  for (int call = 0; call < 3; ++call) {
    engine.features(batch_of_images(options(), 2, 1));
  }
  if (engine.graphs() != nullptr) {
    EXPECT_FALSE(engine.graphs()->has_failed());
    EXPECT_EQ(engine.graphs()->graphs(), 1U);
  }
}

TEST_P(CudaEngineTest, ReplaysGiveTheSameBits) {
  if (is_sparse(options())) {
    GTEST_SKIP() << "sums over experts in no fixed order";
  }
  for (const auto precision : {Precision::kFloat32, Precision::kBFloat16}) {
    auto packed = this->packed(precision);
    const auto images = batch_of_images(options(), 3, 1);
    const auto others = batch_of_images(options(), 3, 2);
    packed.forward(others);
    packed.forward(others);
    const auto first = packed.forward(images).cpu();
    EXPECT_FALSE(same_bits(packed.forward(others).cpu(), first));
    packed.forward(batch_of_images(options(), 2, 3));
    packed.forward(batch_of_images(options(), 2, 3));
    EXPECT_TRUE(same_bits(packed.forward(images).cpu(), first));
  }
}

TEST_P(CudaEngineTest, KeepsItsWeightsWhateverHappensToThoseOfTheModel) {
  for (const auto precision : {Precision::kFloat32, Precision::kBFloat16}) {
    auto modules = model();
    modules->to(kGpu);
    InferenceModel packed(modules, precision);
    const auto images = batch_of_images(options(), 3, 1);
    packed.forward(images);
    packed.forward(images);
    const auto before = packed.forward(images).cpu();
    {
      const torch::NoGradGuard no_grad;
      for (auto& parameter : modules->parameters()) {
        parameter.fill_(0.25);
      }
    }
    EXPECT_LT(error_of(packed.forward(images), before), 1e-5);
  }
}

TEST_P(CudaEngineTest, ServesManyThreads) {
  auto modules = model();
  auto packed = this->packed(Precision::kFloat32);
  constexpr int64_t kThreads = 4;
  constexpr int64_t kCalls = 6;
  std::vector<torch::Tensor> images;
  std::vector<torch::Tensor> expected;
  for (int64_t index = 0; index < kThreads * kCalls; ++index) {
    images.push_back(batch_of_images(options(), 1 + index % 3, static_cast<uint64_t>(index)));
    const torch::NoGradGuard no_grad;
    expected.push_back(modules->forward(images.back()));
  }
  std::vector<double> errors(images.size(), 1.0);
  std::vector<std::thread> threads;
  for (int64_t thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      // Each on a stream of its own.
      const c10::StreamGuard guard(
          c10::impl::VirtualGuardImpl(torch::kCUDA).getStreamFromGlobalPool(kGpu));
      for (int64_t call = 0; call < kCalls; ++call) {
        const auto index = static_cast<size_t>(thread * kCalls + call);
        errors[index] = error_of(packed.forward(images[index].to(kGpu)), expected[index]);
      }
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  for (size_t index = 0; index < errors.size(); ++index) {
    EXPECT_LT(errors[index], 1e-5) << index;
  }
}

INSTANTIATE_TEST_SUITE_P(Models, CudaEngineTest, testing::ValuesIn(cuda_cases()),
                         [](const auto& item) { return item.param.name; });

#ifdef SOFTMOE_WITH_CUDA
TEST(CudaGraph, LeavesTheStreamAsItWasWhereAPassCannotBeRecorded) {
  if (!torch::cuda::is_available()) {
    GTEST_SKIP() << "no CUDA device";
  }
  const torch::InferenceMode inference;
  const auto twice = [](const torch::Tensor& input) { return input * 2; };
  GraphRunner impossible(
      kGpu,
      [&](const torch::Tensor& input) {
        input.sum().item<float>();  // waits for the device
        return twice(input);
      },
      make_cuda_graph);
  GraphRunner possible(kGpu, twice, make_cuda_graph);
  for (int call = 0; call < 4; ++call) {
    for (auto* runner : {&impossible, &possible}) {
      const auto input = batch_of_images(test::small_options(), 2, static_cast<uint64_t>(call));
      auto output = torch::empty(input.sizes(), torch::TensorOptions(kGpu));
      runner->run(input, output);
      EXPECT_TRUE(same_bits(output.cpu(), input * 2)) << "call " << call;
    }
  }
  EXPECT_TRUE(impossible.has_failed());
  EXPECT_FALSE(possible.has_failed());
  EXPECT_EQ(possible.graphs(), 1U);
}
#endif

}  // namespace
}  // namespace softmoe
