// What runs on CUDA, as far as it can be seen without: on the CPU, and on the meta device, where
// operators have shapes but no values, so that nothing can be read back.

#include "inference/modules/module_engine.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ExpandUtils.h>
#include <ATen/WrapDimUtils.h>
#include <ATen/record_function.h>
#include <gmock/gmock.h>
#include <torch/library.h>

#include <functional>
#include <ostream>

#include "checkpoints/model_checkpoint.h"
#include "core/error.h"
#include "kernels/level.h"
#include "ops/compute_precision.h"
#include "runtime/autocast_guard.h"
#include "softmoe/routers.h"
#include "support/tensor_matcher.h"
#include "vit/small_models.h"

namespace softmoe {
namespace {

/// LayerNorm without values: for meta libtorch has this and the next four in Python alone.
std::tuple<torch::Tensor, torch::Tensor, torch::Tensor> shapes_of_layer_norm(
    const torch::Tensor& x, at::IntArrayRef normalized, const std::optional<torch::Tensor>&,
    const std::optional<torch::Tensor>&, double) {
  auto shape = x.sizes().vec();
  std::fill(shape.end() - static_cast<std::ptrdiff_t>(normalized.size()), shape.end(), 1);
  return {torch::empty_like(x), x.new_empty(shape), x.new_empty(shape)};
}

torch::Tensor shape_of_where(const torch::Tensor& condition, const torch::Tensor& a,
                             const torch::Tensor& b) {
  const auto shape = at::infer_size(at::infer_size(condition.sizes(), a.sizes()), b.sizes());
  return condition.new_empty(shape, at::result_type(a, b));
}

torch::Tensor& where_out(const torch::Tensor&, const torch::Tensor&, const torch::Tensor&,
                         torch::Tensor& out) {
  return out;
}

torch::Tensor shape_of_selection(const torch::Tensor& x, int64_t axis, const torch::Tensor& index) {
  auto shape = x.sizes().vec();
  shape[static_cast<size_t>(at::maybe_wrap_dim(axis, x.dim()))] = index.numel();
  return x.new_empty(shape);
}

torch::Tensor shape_of_relu(const torch::Tensor& x) { return torch::empty_like(x); }

TORCH_LIBRARY_IMPL(aten, Meta, library) {
  library.impl("native_layer_norm", shapes_of_layer_norm);
  library.impl("index_select", shape_of_selection);
  library.impl("relu", shape_of_relu);
  library.impl("where.self", shape_of_where);
  library.impl("where.self_out", where_out);
}

using test::all_close;
using test::changed;
using test::ModelCase;
using test::same_bits;
using testing::AnyOf;
using testing::HasSubstr;
using testing::IsEmpty;

/// Models with every part that the modules have.
std::vector<ModelCase> engine_cases() {
  const auto dense = test::small_options();
  const auto soft = test::small_moe_options();
  auto cases = test::prefix_and_pooling_cases(dense, soft);
  cases.insert(
      cases.end(),
      {{"Dense", dense},
       {"SoftMoe", soft},
       {"Merged", test::small_moe_options("smear")},
       {"SinCosAndPooledNorm", changed(soft,
                                       [](auto& options) {
                                         options.pos_embed = PositionEmbedding::kSinCos2d;
                                         options.class_token = true;
                                         options.final_norm = FinalNorm::kPooled;
                                       })},
       {"QkNormLayerScaleAttentionPooling", changed(soft,
                                                    [](auto& options) {
                                                      options.qk_norm = true;
                                                      options.layer_scale = 0.4;
                                                      options.global_pool = GlobalPool::kMap;
                                                    })},
       {"SwiGluTokenAvg", changed(test::with_token_avg(dense),
                                  [](auto& options) { options.mlp_layer = MlpLayer::kSwiGlu; })}});
  return cases;
}

/// Notes operators of this thread that copy tensors from the CPU to another device.
class CopiesFromHost {
 public:
  CopiesFromHost()
      : handle_(at::addThreadLocalCallback(at::RecordFunctionCallback(note).needsInputs(true))) {
    found().clear();
  }
  ~CopiesFromHost() { at::removeCallback(handle_); }
  CopiesFromHost(const CopiesFromHost&) = delete;
  CopiesFromHost& operator=(const CopiesFromHost&) = delete;

  static std::vector<std::string>& found() {
    static std::vector<std::string> names;
    return names;
  }

 private:
  static std::unique_ptr<at::ObserverContext> note(const at::RecordFunction& function) {
    const std::string name = function.name();
    if (name == "aten::copy_" || name == "aten::_to_copy" || name == "aten::to") {
      int64_t of_cpu = 0;
      for (const auto& input : function.inputs()) {
        of_cpu += input.isTensor() && input.toTensor().defined() && input.toTensor().is_cpu();
      }
      if (of_cpu > 0) {
        found().push_back(name);
      }
    }
    return nullptr;
  }

  at::CallbackHandle handle_;
};

/// Gives all tensors of `module` to the meta device, which Module::to() does not know.
void move_to_meta(const torch::nn::Module& module) {
  const auto move = [](const torch::Tensor& tensor) {
    auto* const impl = tensor.unsafeGetTensorImpl();
    impl->set_storage_keep_dtype(tensor.detach().to(torch::kMeta).storage());
    impl->_change_backend_component_keys(torch::kMeta);
  };
  for (const auto& parameter : module.parameters()) {
    move(parameter);
  }
  for (const auto& buffer : module.buffers()) {
    move(buffer);
  }
}

/// Features of images without values; notes what comes from the host.
torch::Tensor features_on_meta(const VisionTransformer& model, int64_t batch = 3) {
  const torch::InferenceMode inference;
  move_to_meta(*model);
  const auto images = test::random_images(model->options(), batch).to(torch::kMeta);
  const CopiesFromHost copies;
  return model.ptr()->forward_features(images);  // [batch, feature_dim]
}

class ModuleEngineTest : public testing::TestWithParam<ModelCase> {
 protected:
  const VitOptions& options() const { return GetParam().options; }

  VisionTransformer model() const {
    auto model = test::lively_model(options());
    model->eval();
    return model;
  }
};

TEST_P(ModuleEngineTest, AgreesWithModulesInFp32) {
  const torch::InferenceMode inference;
  auto model = this->model();
  const auto images = test::random_images(options(), /*batch=*/3);
  ModuleEngine engine(options(), named_tensors(*model), Precision::kFloat32, torch::kCPU);
  const auto features = engine.features(images);
  EXPECT_TRUE(same_bits(features, model->forward_features(images)));
  if (options().num_classes > 0) {
    EXPECT_TRUE(same_bits(engine.logits(features), model->forward(images)));
  }
}

TEST_P(ModuleEngineTest, GivesInBf16WhatModulesGiveUnderAutocast) {
  const kernels::ScopedLevel plain(kernels::Level::kPortable);
  const torch::InferenceMode inference;
  auto model = this->model();
  const auto images = test::random_images(options(), /*batch=*/3);
  ModuleEngine engine(options(), named_tensors(*model), Precision::kBFloat16, torch::kCPU);
  const auto features = engine.features(images);
  EXPECT_EQ(features.scalar_type(), torch::kFloat32);
  torch::Tensor expected;
  {
    const AutocastGuard autocast(torch::kCPU, torch::kBFloat16);
    expected = model->forward_features(images).to(torch::kFloat32);
  }
  EXPECT_TRUE(same_bits(features, expected));
  const auto exact = model->forward_features(images);
  EXPECT_FALSE(all_close(features, exact, {.absolute = 1e-6})) << "not in bf16";
  EXPECT_LT((features - exact).norm().item<double>(), 2e-2 * exact.norm().item<double>());
  if (options().num_classes > 0) {
    EXPECT_TRUE(same_bits(engine.logits(features), model->forward_head(features)));
  }
}

TEST_P(ModuleEngineTest, RunsAModelAsItIsWithItsHeadUnderAutocast) {
  for (const auto precision : {Precision::kFloat32, Precision::kBFloat16}) {
    const torch::InferenceMode inference;
    auto model = this->model();
    const auto images = test::random_images(options(), /*batch=*/3);
    ModuleEngine engine(model, precision);
    const auto features = engine.features(images);
    const AutocastGuard autocast(torch::kCPU, tensor_dtype(precision));
    EXPECT_TRUE(same_bits(features, model->forward_features(images).to(torch::kFloat32)));
    if (options().num_classes > 0) {
      EXPECT_TRUE(
          same_bits(engine.logits(features), model->forward_head(features).to(torch::kFloat32)));
    }
  }
}

TEST_P(ModuleEngineTest, KeepsItsWeightsWhateverHappensToThoseOfTheModel) {
  const kernels::ScopedLevel plain(kernels::Level::kPortable);
  for (const auto precision : {Precision::kFloat32, Precision::kBFloat16}) {
    auto model = this->model();
    const auto images = test::random_images(options());
    ModuleEngine engine(options(), named_tensors(*model), precision, torch::kCPU);
    const torch::InferenceMode inference;
    const auto before = engine.features(images);
    {
      const torch::NoGradGuard no_grad;
      for (auto& parameter : model->parameters()) {
        parameter.fill_(0.25);
      }
    }
    EXPECT_TRUE(same_bits(engine.features(images), before));
  }
}

TEST_P(ModuleEngineTest, NeedsNothingFromTheHost) {
  ModuleEngine engine(options(), named_tensors(*model()), Precision::kFloat32, torch::kCPU);
  const auto features = features_on_meta(engine.modules());
  EXPECT_TRUE(features.is_meta());
  EXPECT_EQ(features.sizes(), (std::vector<int64_t>{3, options().feature_dim()}));
  EXPECT_THAT(CopiesFromHost::found(), IsEmpty());
  EXPECT_TRUE(is_recordable(options()));
}

INSTANTIATE_TEST_SUITE_P(Models, ModuleEngineTest, testing::ValuesIn(engine_cases()),
                         [](const auto& item) { return item.param.name; });

TEST(ModuleEngine, FixedPositionsOfTheModuleItselfWouldComeFromTheHost) {
  auto options = test::small_options();
  options.pos_embed = PositionEmbedding::kSinCos2d;
  features_on_meta(test::lively_model(options));
  EXPECT_THAT(CopiesFromHost::found(), testing::Not(IsEmpty()));
}

TEST(ModuleEngine, RefusesDtypesThatModulesDoNotHave) {
  auto model = test::lively_model(test::small_options());
  for (const auto precision : {Precision::kInt8, Precision::kInt8Experts}) {
    EXPECT_THROW(ModuleEngine(model->options(), named_tensors(*model), precision, torch::kCPU),
                 UsageError);
  }
}

TEST(ModuleEngine, RecordsNothingOnTheCpu) {
  auto model = test::lively_model(test::small_options());
  ModuleEngine engine(model->options(), named_tensors(*model), Precision::kFloat32, torch::kCPU);
  EXPECT_EQ(engine.graphs(), nullptr);
}

class RecordableRouter : public testing::TestWithParam<std::string> {
 protected:
  VitOptions options() const { return test::small_moe_options(GetParam()); }
  NamedTensors weights() const { return named_tensors(*test::lively_model(options())); }
};

TEST_P(RecordableRouter, ReadsNothingBackWhereTheRowSaysSoAndSomethingElsewhere) {
  ModuleEngine engine(options(), weights(), Precision::kFloat32, torch::kCPU);
  EXPECT_EQ(is_recordable(options()), router_row(GetParam()).recordable);
  if (is_recordable(options())) {
    EXPECT_NO_THROW(features_on_meta(engine.modules()));
    EXPECT_THAT(CopiesFromHost::found(), IsEmpty());
  } else {
    try {
      features_on_meta(engine.modules());
      ADD_FAILURE() << "reads nothing back";
    } catch (const std::exception& error) {
      EXPECT_THAT(error.what(), AnyOf(HasSubstr("aten::bincount"), HasSubstr("aten::nonzero"),
                                      HasSubstr("item()"), HasSubstr("copy out of meta")));
    }
  }
}

TEST_P(RecordableRouter, DrawsNothingInEvaluation) {
  ModuleEngine engine(options(), weights(), Precision::kFloat32, torch::kCPU);
  const torch::InferenceMode inference;
  const auto images = test::random_images(options());
  const auto before = at::detail::getDefaultCPUGenerator().get_state();
  engine.features(images);
  EXPECT_TRUE(same_bits(at::detail::getDefaultCPUGenerator().get_state(), before));
}

INSTANTIATE_TEST_SUITE_P(Routers, RecordableRouter, testing::ValuesIn(router_names()),
                         [](const auto& entry) { return entry.param; });

}  // namespace
}  // namespace softmoe
