/// Exported models in other runtimes: the outputs of ours.

#include <gmock/gmock.h>

#include "datasets/transforms.h"
#include "io/npz.h"
#include "onnx/onnx_cases.h"
#include "support/peers.h"
#include "support/temporary_folder.h"

namespace softmoe::test {
namespace {

struct Case {
  std::string name;
  VitOptions model;
  OnnxOptions onnx = {};
  std::vector<int64_t> batches = {1, 3};
  /// OpenCV has no products of fp64, in which content hashes are computed, and no casts to bf16;
  /// OpenVINO leaves out casts to bf16 and back.
  std::vector<std::string> runtimes = {"onnxruntime", "openvino", "opencv"};
};

/// A variant of `options`.
Case variant(
    const std::string& name, VitOptions options,
    const std::function<void(VitOptions&)>& change = [](VitOptions&) {}) {
  change(options);
  return {.name = name, .model = options};
}

Case with(Case base, const std::string& name, const std::function<void(OnnxOptions&)>& change) {
  base.name = name;
  change(base.onnx);
  return base;
}

/// Inputs of the exported graph and of the model for the same images.
struct Inputs {
  torch::Tensor graph;
  torch::Tensor model;  ///< [batch, channels, height, width]
};

Inputs inputs_of(const Case& test_case, const PreprocessOptions& options, int64_t batch) {
  const auto images = random_images(test_case.model, batch);
  if (!test_case.onnx.preprocess) {
    return {.graph = images, .model = images};
  }
  const auto pixels = ((images + 1) * 127.5).round().to(torch::kUInt8);
  const auto row = [](const std::vector<double>& values) {
    return torch::tensor(values, torch::kFloat64).view({1, -1, 1, 1});
  };
  const auto ready = (pixels.to(torch::kFloat64) / 255.0 - row(options.mean)) / row(options.std);
  return {.graph = pixels.permute({0, 2, 3, 1}).contiguous(), .model = ready.to(torch::kFloat32)};
}

/// Rounds the weights that exports keep in `precision`, so that outputs differ by no more than in
/// fp32.
void round_matrices(VisionTransformer& model, Precision precision) {
  const torch::NoGradGuard no_grad;
  for (auto& parameter : model->named_parameters()) {
    const auto& name = parameter.key();
    auto& value = parameter.value();
    if (value.dim() >= 2 && name.ends_with("weight") && name.find("router") == std::string::npos) {
      value.copy_(in_precision(value, precision, name));
    }
  }
}

void write_case(const TemporaryFolder& folder, const Case& test_case) {
  SCOPED_TRACE(test_case.name);
  auto loaded = exported_model(test_case.model);
  round_matrices(loaded.model, test_case.onnx.dtype);
  write_onnx(graph_of(loaded, test_case.onnx), folder / (test_case.name + ".onnx"),
             test_case.onnx.external_data);
  NamedTensors arrays;
  const torch::InferenceMode inference;
  for (const int64_t batch : test_case.batches) {
    const auto inputs = inputs_of(test_case, loaded.description.preprocess.value(), batch);
    const auto suffix = "_" + std::to_string(batch);
    const auto features = loaded.model->forward_features(inputs.model);
    arrays["images" + suffix] = inputs.graph;
    if (test_case.model.num_classes > 0) {
      arrays["logits" + suffix] = loaded.model->forward_head(features);
    }
    if (test_case.model.num_classes == 0 || test_case.onnx.features) {
      arrays["features" + suffix] = features;
    }
  }
  write_npz(folder / (test_case.name + ".npz"), arrays);
}

/// Every runtime gives every output of every case within 1e-5 of its largest value.
void expect_equal_outputs(const std::vector<Case>& cases) {
  if (!peers_python()) {
    GTEST_SKIP() << kNoPeers;
  }
  const TemporaryFolder folder;
  for (const auto& test_case : cases) {
    write_case(folder, test_case);
  }
  const auto run = run_peer("onnx/onnx_runtimes.py", {folder.path().string()});
  ASSERT_EQ(run.exit_code, 0) << run.error;
  const auto results = Json::parse(run.output);
  ASSERT_EQ(results.size(), cases.size());
  for (const auto& test_case : cases) {
    SCOPED_TRACE(test_case.name);
    const auto& result = results.at(test_case.name);
    EXPECT_TRUE(result.at("complaint").is_null()) << result.at("complaint");
    for (const auto& runtime : test_case.runtimes) {
      if (runtime == "opencv" && !result.contains(runtime)) {
        continue;
      }
      const auto& errors = result.at(runtime);
      EXPECT_FALSE(errors.contains("error")) << runtime << ": " << errors;
      EXPECT_GE(errors.size(), test_case.batches.size()) << runtime;
      for (const auto& [output, error] : errors.items()) {
        EXPECT_TRUE(error.is_number() && error.get<double>() <= 1e-5)
            << runtime << ", " << output << ": " << error;
      }
    }
  }
}

VitOptions with_router(
    const std::string& router,
    const std::function<void(MoeOptions&)>& change = [](MoeOptions&) {}) {
  auto options = small_moe_options(router);
  options.moe.slots_per_expert = router == "identity" ? 2 : 1;
  change(options.moe);
  return options;
}

TEST(OnnxRuntimes, GiveTheOutputsOfEveryPoolingAndHead) {
  const auto dense = small_options();
  const auto token = [](VitOptions& options) {
    options.global_pool = GlobalPool::kToken;
    options.class_token = true;
  };
  const auto map = [](VitOptions& options) { options.global_pool = GlobalPool::kMap; };
  expect_equal_outputs({
      variant("avg", dense),
      variant("avg_after_prefix", dense, [](auto& o) { o.class_token = true; }),
      variant("avg_fc_norm", dense, [](auto& o) { o.final_norm = FinalNorm::kPooled; }),
      variant("token", dense, token),
      variant("token_fc_norm", dense,
              [&](auto& o) {
                token(o);
                o.final_norm = FinalNorm::kPooled;
              }),
      variant("map", dense, map),
      variant("map_qk_norm", dense,
              [&](auto& o) {
                map(o);
                o.qk_norm = true;
              }),
      variant("map_after_prefix", dense,
              [&](auto& o) {
                map(o);
                o.reg_tokens = 2;
              }),
      variant("map_with_prefix", dense,
              [&](auto& o) {
                map(o);
                o.reg_tokens = 2;
                o.pool_include_prefix = true;
              }),
      variant("avg_with_prefix", dense,
              [](auto& o) {
                o.class_token = true;
                o.pool_include_prefix = true;
              }),
      variant("token_avg", dense,
              [](auto& o) {
                o.global_pool = GlobalPool::kTokenAvg;
                o.class_token = true;
                o.reg_tokens = 2;
              }),
      variant("token_avg_pre_logits", dense,
              [](auto& o) {
                o.global_pool = GlobalPool::kTokenAvg;
                o.class_token = true;
                o.pre_logits = 11;
              }),
      variant("pre_logits", dense, [](auto& o) { o.pre_logits = 11; }),
      variant("headless", dense, [](auto& o) { o.num_classes = 0; }),
      with(variant("features", dense, [](auto& o) { o.pre_logits = 11; }), "features",
           [](auto& o) { o.features = true; }),
      with(variant("distilled", dense,
                   [&](auto& o) {
                     token(o);
                     o.dist_token = true;
                     o.pre_logits = 10;
                   }),
           "distilled", [](auto& o) { o.features = true; }),
  });
}

TEST(OnnxRuntimes, GiveTheOutputsOfEveryPartOfABlock) {
  const auto dense = small_options();
  const auto base = variant("base", dense, [](auto& o) { o.qk_norm = true; });
  expect_equal_outputs({
      variant("registers", dense,
              [](auto& o) {
                o.class_token = true;
                o.reg_tokens = 3;
                o.global_pool = GlobalPool::kToken;
                o.pos_embed_prefix = false;
                o.layer_scale = 0.5;
                o.gelu = Activation::kGeluExact;
              }),
      variant("registers_with_positions", dense, [](auto& o) { o.reg_tokens = 2; }),
      variant("clip", dense,
              [](auto& o) {
                o.class_token = true;
                o.global_pool = GlobalPool::kToken;
                o.pre_norm = true;
                o.patch_bias = false;
                o.gelu = Activation::kGeluQuick;
                o.norm_eps = 1e-5;
              }),
      variant("swiglu", dense, [](auto& o) { o.mlp_layer = MlpLayer::kSwiGlu; }),
      variant("sincos", dense,
              [](auto& o) {
                o.class_token = true;
                o.pos_embed = PositionEmbedding::kSinCos2d;
              }),
      with(base, "opset_13", [](auto& o) { o.opset = 13; }),
      with(base, "opset_18", [](auto& o) { o.opset = 18; }),
      with(base, "opset_20", [](auto& o) { o.opset = 20; }),
      with(variant("base", dense, [](auto& o) { o.gelu = Activation::kGeluExact; }), "opset_22",
           [](auto& o) { o.opset = 22; }),
      with(base, "pixels", [](auto& o) { o.preprocess = true; }),
      with(base, "external", [](auto& o) { o.external_data = ExternalData::kAlways; }),
  });
}

Case in_onnxruntime(Case test_case) {
  test_case.runtimes = {"onnxruntime"};
  return test_case;
}

TEST(OnnxRuntimes, GiveTheOutputsOfSoftMoe) {
  std::vector<Case> cases{
      variant("soft", with_router("soft")),
      variant("soft_slots", with_router("soft", [](auto& o) { o.slots_per_expert = 2; })),
      variant("soft_capacity", with_router("soft", [](auto& o) { o.slots_per_expert = 0; })),
      variant("smear", with_router("smear")),
      variant("soft_two_scales", with_router("soft",
                                             [](auto& o) {
                                               o.router_scale_form = ScaleForm::kExp;
                                               o.router_scale_max = 4.5;
                                               o.router_scale = "4";
                                               o.separate_scales = true;
                                             })),
      variant("soft_entmax", with_router("soft",
                                         [](auto& o) {
                                           o.router_scale = "12";
                                           o.combine = CombineWeights::kEntmax15;
                                         })),
      variant("soft_shared_mlp", with_router("soft", [](auto& o) {
                o.shared_mlp = true;
                o.moe_layer_scale = 0.5;
                o.expert_dim = 10;
              }))};
  for (const char* router : {"soft_uniform", "uniform_soft", "uniform", "identity"}) {
    cases.push_back(variant(router, with_router(router)));
  }
  cases.push_back(with(cases.front(), "soft_opset_13", [](auto& o) { o.opset = 13; }));
  cases.push_back(with(cases.front(), "soft_fixed", [](auto& o) { o.batch_size = 3; }));
  cases.back().batches = {3};
  cases.push_back(with(cases[1], "soft_float16", [](auto& o) { o.dtype = Precision::kFloat16; }));
  cases.push_back(with(cases[1], "soft_bfloat16", [](auto& o) { o.dtype = Precision::kBFloat16; }));
  expect_equal_outputs(cases);
}

TEST(OnnxRuntimes, GiveTheOutputsOfSparseRouters) {
  const auto choice = [](const std::string& name, const std::function<void(SparseOptions&)>& change,
                         double capacity_factor = 1.0) {
    return variant(name, with_router("tokens_choice", [&](auto& moe) {
                     moe.capacity_factor = capacity_factor;
                     moe.sparse.capacity_multiple = 1;
                     change(moe.sparse);
                   }));
  };
  const auto experts = [](const std::string& name, const std::function<void(MoeOptions&)>& change) {
    return variant(name, with_router("experts_choice", change));
  };
  const auto rounding = [](auto& o) { o.dispatch_dtype = Precision::kBFloat16; };
  std::vector<Case> cases{
      variant("tokens_choice", with_router("tokens_choice")),
      in_onnxruntime(variant("rounding", with_router("tokens_choice", rounding))),
      in_onnxruntime(experts("experts_rounding", rounding)),
      experts("experts_up",
              [](auto& o) {
                o.capacity_factor = 1.1;
                o.sparse.capacity_rounding = CapacityRounding::kUp;
              }),
      choice(
          "one_image", [](auto& o) { o.group_images = 1; }, 0.5),
      choice(
          "two_images", [](auto& o) { o.group_images = 2; }, 0.7),
      choice(
          "drops", [](auto& o) { o.top_k = 2; }, 1.05),
      choice(
          "priority",
          [](auto& o) {
            o.top_k = 2;
            o.batch_priority = true;
          },
          0.5),
      choice("renormalized",
             [](auto& o) {
               o.top_k = 2;
               o.renormalize_gates = true;
               o.eval_capacity_factor = 0.9;
             }),
      choice("after",
             [](auto& o) {
               o.top_k = 2;
               o.gate_order = GateOrder::kAfter;
             }),
      choice("sigmoid",
             [](auto& o) {
               o.gate_function = GateFunction::kSigmoid;
               o.selection_bias_rate = 0.1;
             }),
      choice("biased_after",
             [](auto& o) {
               o.top_k = 2;
               o.gate_order = GateOrder::kAfter;
               o.selection_bias_rate = 0.1;
             }),
      experts("experts_choice", [](auto&) {}),
      experts("experts_renormalized",
              [](auto& o) {
                o.capacity_factor = 1.25;
                o.sparse.renormalize_gates = true;
              }),
      experts("experts_in_groups",
              [](auto& o) {
                o.capacity_factor = 0.75;
                o.sparse.group_images = 2;
              }),
      variant("reinforced", with_router("reinforced"))};
  // Groups of two images out of four, and the whole batch if two does not divide it.
  for (auto& test_case : cases) {
    if (test_case.model.moe.sparse.group_images == 2) {
      test_case.batches = {1, 3, 4};
    }
  }
  auto fixed = with(cases[3], "drops_fixed", [](auto& o) { o.batch_size = 4; });
  fixed.batches = {4};
  cases.push_back(fixed);
  cases.push_back(with(cases[4], "priority_opset_13", [](auto& o) { o.opset = 13; }));
  cases.push_back(with(cases[11], "experts_opset_18", [](auto& o) { o.opset = 18; }));
  expect_equal_outputs(cases);
}

TEST(OnnxRuntimes, GiveTheOutputsOfHashRouters) {
  std::vector<Case> cases;
  for (const char* router :
       {"hash_random", "hash_block", "hash_modulo", "hash_projection", "hash_kmeans", "random"}) {
    auto options = with_router(router, [](auto& o) { o.sparse.hash_codes = 9; });
    options.class_token = true;
    options.reg_tokens = 4;
    cases.push_back(variant(router, options));
    if (options.moe.router == "hash_projection" || options.moe.router == "hash_kmeans") {
      cases.back().runtimes.pop_back();
    }
  }
  expect_equal_outputs(cases);
}

}  // namespace
}  // namespace softmoe::test
