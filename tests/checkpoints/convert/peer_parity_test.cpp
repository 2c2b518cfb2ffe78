/// Models of timm and Hugging Face transformers with random weights: they give the same outputs
/// here, the same bits when they are written back, and the same outputs there when they read that.

#include <sstream>

#include "checkpoints/convert/check_weights.h"
#include "checkpoints/convert/foreign_model.h"
#include "checkpoints/convert/write_foreign.h"
#include "checkpoints/load_into.h"
#include "checkpoints/module_tensors.h"
#include "checkpoints/surgery/patch_resize.h"
#include "io/npz.h"
#include "ops/initialization.h"
#include "support/peers.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"
#include "vit/vision_transformer.h"

namespace softmoe {
namespace {

/// A case of peer_models.py, and the check of its options.
struct PeerCase {
  const char* name;
  const char* family;
  void (*check)(const VitOptions&);
};

const std::vector<PeerCase> kPeerCases{
    {"timm_vit_s16", "timm",
     [](const VitOptions& o) {
       EXPECT_EQ(o.heads, 6);
       EXPECT_EQ(o.gelu, Activation::kGeluExact);
       EXPECT_EQ(o.norm_eps, 1e-6);
       EXPECT_EQ(o.global_pool, GlobalPool::kToken);
     }},
    {"timm_vit_b16", "timm", [](const VitOptions& o) { EXPECT_EQ(o.heads, 12); }},
    {"timm_deit_distilled", "timm", [](const VitOptions& o) { EXPECT_TRUE(o.dist_token); }},
    {"timm_dinov2", "timm", [](const VitOptions& o) { EXPECT_GT(o.layer_scale, 0.0); }},
    {"timm_dinov2_registers", "timm",
     [](const VitOptions& o) {
       EXPECT_EQ(o.reg_tokens, 4);
       EXPECT_FALSE(o.pos_embed_prefix);
       EXPECT_EQ(o.image_height(), 56);
     }},
    {"timm_dinov2_giant", "timm",
     [](const VitOptions& o) {
       EXPECT_EQ(o.mlp_layer, MlpLayer::kSwiGlu);
       EXPECT_EQ(o.mlp_dim, 256);
     }},
    {"timm_dinov2_giant_registers", "timm",
     [](const VitOptions& o) {
       EXPECT_EQ(o.mlp_layer, MlpLayer::kSwiGlu);
       EXPECT_EQ(o.reg_tokens, 4);
     }},
    {"timm_siglip", "timm",
     [](const VitOptions& o) {
       EXPECT_EQ(o.global_pool, GlobalPool::kMap);
       EXPECT_EQ(o.heads, 3);
     }},
    {"timm_gap", "timm",
     [](const VitOptions& o) {
       EXPECT_EQ(o.global_pool, GlobalPool::kAvg);
       EXPECT_EQ(o.final_norm, FinalNorm::kTokens);
     }},
    {"timm_map", "timm",
     [](const VitOptions& o) {
       EXPECT_EQ(o.global_pool, GlobalPool::kMap);
       EXPECT_EQ(o.prefix_tokens(), 4);
       EXPECT_FALSE(o.pool_include_prefix);
     }},
    {"timm_map_prefix", "timm", [](const VitOptions& o) { EXPECT_TRUE(o.pool_include_prefix); }},
    {"timm_avg_prefix", "timm", [](const VitOptions& o) { EXPECT_TRUE(o.pool_include_prefix); }},
    {"timm_gap_no_qkv_bias", "timm",
     [](const VitOptions& o) {
       EXPECT_EQ(o.global_pool, GlobalPool::kAvg);
       EXPECT_GT(o.layer_scale, 0.0);
     }},
    {"timm_fc_norm", "timm",
     [](const VitOptions& o) {
       EXPECT_EQ(o.global_pool, GlobalPool::kAvg);
       EXPECT_EQ(o.final_norm, FinalNorm::kPooled);
       EXPECT_TRUE(o.class_token);
     }},
    {"timm_clip", "timm",
     [](const VitOptions& o) {
       EXPECT_TRUE(o.pre_norm);
       EXPECT_FALSE(o.patch_bias);
       EXPECT_EQ(o.norm_eps, 1e-5);
     }},
    {"timm_pre_norm", "timm",
     [](const VitOptions& o) {
       EXPECT_TRUE(o.pre_norm);
       EXPECT_EQ(o.norm_eps, 1e-6);
     }},
    {"timm_test_vit", "timm", [](const VitOptions& o) { EXPECT_EQ(o.heads, 2); }},
    {"timm_test_vit2", "timm", [](const VitOptions& o) { EXPECT_EQ(o.heads, 2); }},
    {"timm_test_vit3", "timm", [](const VitOptions& o) { EXPECT_EQ(o.heads, 3); }},
    {"timm_clip_quick_gelu", "timm",
     [](const VitOptions& o) { EXPECT_EQ(o.gelu, Activation::kGeluQuick); }},
    {"hf_vit", "hf_vit", [](const VitOptions& o) { EXPECT_EQ(o.norm_eps, 1e-12); }},
    {"hf_vit_features", "hf_vit", [](const VitOptions& o) { EXPECT_EQ(o.num_classes, 0); }},
    {"hf_vit_no_qkv_bias", "hf_vit", [](const VitOptions& o) { EXPECT_EQ(o.num_classes, 7); }},
    {"hf_deit", "hf_deit", [](const VitOptions& o) { EXPECT_EQ(o.reg_tokens, 1); }},
    {"hf_deit_distilled", "hf_deit_distilled",
     [](const VitOptions& o) { EXPECT_TRUE(o.dist_token); }},
    {"hf_dinov2", "hf_dinov2", [](const VitOptions& o) { EXPECT_GT(o.layer_scale, 0.0); }},
    {"hf_dinov2_registers", "hf_dinov2", [](const VitOptions& o) { EXPECT_EQ(o.reg_tokens, 3); }},
    {"hf_dinov2_classes", "hf_dinov2",
     [](const VitOptions& o) {
       EXPECT_EQ(o.global_pool, GlobalPool::kTokenAvg);
       EXPECT_EQ(o.num_classes, 7);
     }},
    {"hf_dinov2_registers_classes", "hf_dinov2",
     [](const VitOptions& o) {
       EXPECT_EQ(o.global_pool, GlobalPool::kTokenAvg);
       EXPECT_EQ(o.reg_tokens, 3);
     }},
    {"hf_dinov2_swiglu", "hf_dinov2_swiglu", [](const VitOptions& o) { EXPECT_EQ(o.mlp_dim, 64); }},
    {"hf_dinov2_swiglu_rounded", "hf_dinov2_swiglu",
     [](const VitOptions& o) {
       EXPECT_EQ(o.mlp_dim, 112);  // two thirds of 162 are 108
       EXPECT_EQ(o.reg_tokens, 3);
       EXPECT_EQ(o.global_pool, GlobalPool::kTokenAvg);
     }},
    {"hf_siglip", "hf_siglip",
     [](const VitOptions& o) {
       EXPECT_EQ(o.gelu, Activation::kGeluTanh);
       EXPECT_EQ(o.global_pool, GlobalPool::kMap);
     }},
    {"hf_siglip_classes", "hf_siglip",
     [](const VitOptions& o) { EXPECT_EQ(o.global_pool, GlobalPool::kAvg); }},
    {"hf_clip", "hf_clip",
     [](const VitOptions& o) {
       EXPECT_EQ(o.gelu, Activation::kGeluQuick);
       EXPECT_EQ(o.num_classes, 20);
     }},
};

torch::Tensor outputs_of(const ForeignModel& model, const torch::Tensor& images) {
  const torch::NoGradGuard no_grad;
  const SkipInitialization skip;
  VisionTransformer built(model.description.options);
  load_into(*built, model.weights, model.family);
  built->eval();
  return built->forward(images);
}

/// Expects all tensors of the file bit for bit, except those that are no part of the model.
void expect_same_file(const NamedTensors& original, const NamedTensors& back,
                      const std::vector<std::string>& left_out, const std::string& prefix) {
  size_t found = 0;
  for (const auto& [name, tensor] : original) {
    const auto bare = name.starts_with(prefix) ? name.substr(prefix.size()) : name;
    // A classifier leaves SigLIP's attention pool unread.
    const bool unread = original.contains("classifier.weight") && bare.starts_with("head.");
    if (std::find(left_out.begin(), left_out.end(), bare) != left_out.end() || unread) {
      continue;
    }
    ++found;
    // Towers are always written under vision_model.
    const auto at = back.contains(name) ? name : "vision_model." + name;
    ASSERT_TRUE(back.contains(at)) << name;
    EXPECT_TRUE(test::same_bits(back.at(at), tensor)) << name;
  }
  for (const auto& [name, tensor] : back) {
    const bool is_bias = name.ends_with("qkv.bias") || name.ends_with("query.bias") ||
                         name.ends_with("key.bias") || name.ends_with("value.bias");
    if (is_bias && !original.contains(name)) {
      ++found;
      EXPECT_EQ(tensor.count_nonzero().item<int64_t>(), 0) << name;
    }
  }
  EXPECT_EQ(found, back.size());
}

/// timm's resizing of patches and positions.
void expect_same_resizing(const ForeignModel& model, const NamedTensors& arrays) {
  const auto& options = model.description.options;
  const auto mode = PositionResize::kBicubicAntialias;
  EXPECT_EQ(model.description.resize_mode, mode);
  for (const auto& [name, edge] :
       {std::pair<const char*, int64_t>{"larger_patches", 17}, {"smaller_patches", 9}}) {
    const auto resized =
        resize_patch_embedding(model.weights.at("patch_embed.proj.weight"), edge, mode);
    EXPECT_TRUE(test::all_close(resized, arrays.at(name), test::Tolerance{.absolute = 1e-5}))
        << name;
  }
  const auto positions = resize_position_embedding(
      model.weights.at("pos_embed"), options.prefix_positions(), {4, 4}, {6, 5}, mode);
  EXPECT_TRUE(test::all_close(positions, arrays.at("more_positions")));
}

/// The file of facebookresearch/dinov2 beside a model of timm.
void expect_same_features(const std::filesystem::path& file, const VitOptions& options,
                          const NamedTensors& arrays) {
  auto model = read_foreign_model(file);
  const bool gated = options.mlp_layer == MlpLayer::kSwiGlu;
  EXPECT_EQ(model.family, gated ? "dinov2_swiglu" : "dinov2");
  EXPECT_EQ(model.left_out, std::vector<std::string>{"mask_token"});
  auto& found = model.description.options;
  found.heads = options.heads;  // which is not in the file
  EXPECT_EQ(found.num_classes, 0);
  EXPECT_EQ(found.img_size, std::vector<int64_t>{56});
  EXPECT_EQ(found.reg_tokens, options.reg_tokens);
  check_weights(model.weights, found, find_family(model.family), file.string());
  const auto& expected = arrays.at("features");
  const double scale = std::max(1.0, expected.abs().max().item<double>());
  EXPECT_TRUE(test::all_close(outputs_of(model, arrays.at("images")), expected,
                              test::Tolerance{.absolute = 1e-5 * scale}));
}

TEST(PeerParity, HoldsInBothDirections) {
  if (!test::peers_python()) {
    GTEST_SKIP() << test::kNoPeers;
  }
  const test::TemporaryFolder folder;
  const auto made =
      test::run_peer("checkpoints/convert/peer_models.py", {"make", folder.path().string()});
  ASSERT_EQ(made.exit_code, 0) << made.error;
  for (const auto& peer : kPeerCases) {
    SCOPED_TRACE(peer.name);
    const auto place = folder / peer.name;
    auto model = read_foreign_model(place);
    EXPECT_EQ(model.family, peer.family);
    const auto& options = model.description.options;
    peer.check(options);
    check_weights(model.weights, options, find_family(model.family), peer.name);
    if (std::filesystem::exists(place / "state.pth")) {
      const auto state = read_foreign_model(place / "state.pth");
      EXPECT_EQ(state.family, peer.family);
      EXPECT_TRUE(state.prefix.starts_with("state_dict.module."));
      ASSERT_EQ(state.weights.size(), model.weights.size());
      for (const auto& [name, tensor] : model.weights) {
        EXPECT_TRUE(test::same_bits(state.weights.at(name), tensor)) << name;
      }
    }
    const auto arrays = read_npz(place / "images.npz");
    const auto& expected = arrays.at("outputs");
    const double scale = std::max(1.0, expected.abs().max().item<double>());
    EXPECT_TRUE(test::all_close(outputs_of(model, arrays.at("images")), expected,
                                test::Tolerance{.absolute = 1e-5 * scale}));

    if (arrays.contains("larger_patches")) {
      expect_same_resizing(model, arrays);
    }
    if (std::filesystem::exists(place / "dinov2.pth")) {
      expect_same_features(place / "dinov2.pth", options, arrays);
    }
    std::filesystem::create_directory(place / "back");
    write_foreign_model(place / "back" / "model.safetensors", TensorFormat::kSafetensors,
                        find_family(model.family), model.description, model.weights);
    expect_same_file(read_safetensors(place / "model.safetensors"),
                     read_safetensors(place / "back" / "model.safetensors"), model.left_out,
                     model.prefix);
  }
  const auto checked =
      test::run_peer("checkpoints/convert/peer_models.py", {"check", folder.path().string()});
  EXPECT_EQ(checked.exit_code, 0) << checked.error;
}

}  // namespace
}  // namespace softmoe
