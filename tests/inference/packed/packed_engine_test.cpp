#include "inference/packed/packed_engine.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "checkpoints/model_checkpoint.h"
#include "inference/packed/packed_errors.h"
#include "softmoe/routers.h"
#include "support/levels.h"
#include "support/tensor_matcher.h"
#include "vit/small_models.h"

namespace softmoe {
namespace {

using test::changed;
using test::ModelCase;

/// `options` after `change` of the choices of its sparse router.
VitOptions with(const std::string& router, const std::function<void(MoeOptions&)>& change) {
  auto options = test::small_moe_options(router);
  change(options.moe);
  return options;
}

/// Every row of the registry, and the choices that change what its router decides in evaluation.
std::vector<ModelCase> router_cases() {
  std::vector<ModelCase> cases;
  for (const auto& name : router_names()) {
    cases.push_back({name, test::small_moe_options(name)});
  }
  const auto add = [&](const std::string& name, const std::string& router,
                       const std::function<void(MoeOptions&)>& change) {
    cases.push_back({router + "_" + name, with(router, change)});
  };
  add("top_2", "tokens_choice", [](auto& moe) { moe.sparse.top_k = 2; });
  add("dropping", "tokens_choice", [](auto& moe) {
    moe.capacity_factor = 0.4;
    moe.sparse.capacity_multiple = 1;
  });
  add("dropping_by_priority", "tokens_choice", [](auto& moe) {
    moe.capacity_factor = 0.4;
    moe.sparse.capacity_multiple = 1;
    moe.sparse.batch_priority = true;
  });
  add("renormalized", "tokens_choice", [](auto& moe) {
    moe.sparse.top_k = 2;
    moe.sparse.renormalize_gates = true;
  });
  add("gates_after_top_2", "tokens_choice", [](auto& moe) {
    moe.sparse.top_k = 2;
    moe.sparse.gate_order = GateOrder::kAfter;
  });
  add("sigmoid_and_bias", "tokens_choice", [](auto& moe) {
    moe.sparse.gate_function = GateFunction::kSigmoid;
    moe.sparse.selection_bias_rate = 0.1;
  });
  add("groups", "tokens_choice", [](auto& moe) {
    moe.capacity_factor = 0.4;
    moe.sparse.capacity_multiple = 1;
    moe.sparse.group_images = 1;
  });
  add("renormalized", "experts_choice", [](auto& moe) {
    moe.capacity_factor = 2.0;
    moe.sparse.renormalize_gates = true;
  });
  add("groups", "experts_choice", [](auto& moe) { moe.sparse.group_images = 5; });
  add("top_2", "sinkhorn", [](auto& moe) { moe.sparse.top_k = 2; });
  add("two_scales", "soft", [](auto& moe) {
    moe.router_scale = "3";
    moe.router_scale_form = ScaleForm::kExp;
    moe.separate_scales = true;
  });
  add("entmax", "soft", [](auto& moe) {
    moe.router_scale = "20";
    moe.combine = CombineWeights::kEntmax15;
  });
  add("entmax", "uniform_soft", [](auto& moe) { moe.combine = CombineWeights::kEntmax15; });
  // An MLP beside experts of another width, whose outputs are scaled.
  for (const auto* const router : {"soft", "soft_uniform", "tokens_choice", "base", "smear"}) {
    cases.push_back({std::string(router) + "_shared_mlp",
                     changed(test::small_moe_options(router), [](auto& options) {
                       options.layer_scale = 0.4;
                       options.moe.shared_mlp = true;
                       options.moe.moe_layer_scale = 0.7;
                       options.moe.expert_dim = 50;
                     })});
  }
  // What passes by the experts is scaled, too, and experts are scaled before they are merged.
  for (const auto* const router : {"base", "relu", "smear", "soft_uniform"}) {
    cases.push_back({std::string(router) + "_layer_scale",
                     changed(test::small_moe_options(router),
                             [](auto& options) { options.layer_scale = 0.4; })});
  }
  // Tokens without a patch, and sizes that fill no panel and no unit.
  for (const auto* const router :
       {"hash_kmeans", "hash_block", "smear", "uniform", "experts_choice"}) {
    cases.push_back({std::string(router) + "_odd_sizes",
                     changed(test::small_moe_options(router), [](auto& options) {
                       options.class_token = true;
                       options.dim = 36;
                       options.mlp_dim = 70;
                       options.moe.experts = 5;
                     })});
  }
  return cases;
}

class PackedRouters : public testing::TestWithParam<ModelCase> {};
INSTANTIATE_TEST_SUITE_P(Registry, PackedRouters, testing::ValuesIn(router_cases()),
                         [](const auto& item) { return item.param.name; });

TEST_P(PackedRouters, ComputeWhatModulesDoOnEveryLevelInEveryPrecision) {
  const auto& options = GetParam().options;
  auto model = test::lively_model(options);
  for (auto& parameter : model->named_parameters()) {
    if (parameter.key().ends_with("combine_scale")) {
      parameter.value().detach().add_(1.3);  // else it would be that of dispatch
    }
  }
  const auto images = test::random_images(options, /*batch=*/5);
  if (model->wants_router_sample()) {
    model->fit_routers(images);
  }
  for (auto& buffer : model->named_buffers()) {
    if (buffer.key().ends_with("selection_bias")) {
      buffer.value().normal_(0.0, 0.2);
    }
  }
  model->eval();
  const torch::NoGradGuard no_grad;
  for (const int64_t batch : {1, 5}) {
    const auto some = images.slice(0, 0, batch);
    const auto expected = model->forward_features(some);  // [batch, feature_dim]
    test::on_every_level([&] {
      for (const auto precision : test::kPackedPrecisions) {
        PackedEngine engine(options, named_tensors(*model), precision);
        const torch::InferenceMode inference;
        EXPECT_LT(test::relative_error(engine.features(some), expected),
                  test::packed_error(precision))
            << enum_name(precision) << ", " << batch << " images";
      }
    });
  }
}

TEST_P(PackedRouters, ComputeTheSameOnAnyNumberOfThreads) {
  const auto& options = GetParam().options;
  const auto images = test::random_images(options, /*batch=*/3);
  const auto weights = named_tensors(*test::lively_model(options));
  const int threads = at::get_num_threads();
  const torch::InferenceMode inference;
  for (const auto precision : {Precision::kBFloat16, Precision::kInt8Experts}) {
    PackedEngine engine(options, weights, precision);
    at::set_num_threads(1);
    const auto expected = engine.features(images);  // [batch, feature_dim]
    for (const int count : {2, 3}) {
      at::set_num_threads(count);
      EXPECT_TRUE(test::same_bits(engine.features(images), expected)) << count << " threads";
    }
  }
  at::set_num_threads(threads);
}

}  // namespace
}  // namespace softmoe
