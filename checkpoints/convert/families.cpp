#include "checkpoints/convert/families.h"

#include <algorithm>

#include "checkpoints/convert/family_rules.h"
#include "checkpoints/convert/flax_names.h"
#include "checkpoints/convert/hf_config.h"
#include "checkpoints/convert/hf_names.h"
#include "checkpoints/convert/preprocessor.h"
#include "checkpoints/convert/timm_config.h"
#include "checkpoints/convert/timm_names.h"
#include "checkpoints/convert/weight_hooks.h"
#include "core/registry.h"

namespace softmoe {
namespace {

using enum PositionResize;

constexpr FamilyPixels kImagenet{.mean = {0.485, 0.456, 0.406}, .std = {0.229, 0.224, 0.225}};
constexpr FamilyPixels kImagenetCropped{
    .mean = kImagenet.mean, .std = kImagenet.std, .crop_pct = 0.875};
constexpr FamilyPixels kHalf{};
constexpr FamilyPixels kHalfBilinear{.interpolation = Interpolation::kBilinear};
constexpr FamilyPixels kHalfCropped{.crop_pct = 0.9};
constexpr FamilyPixels kClipPixels{.mean = {0.48145466, 0.4578275, 0.40821073},
                                   .std = {0.26862954, 0.26130258, 0.27577711}};

/// The eps of Hugging Face's ViT and DeiT.
constexpr double kHfVitEps = 1e-12;

constexpr std::array kTimmVariants{
    FamilyVariant{.fits = is_timm_clip, .norm_eps = kClipNormEps, .pixels = kClipPixels},
    FamilyVariant{.fits = is_timm_imagenet, .norm_eps = 1e-6, .pixels = kImagenet},
};

constexpr std::string_view kUnderAHead = "under a head (--num-classes 0 leaves the head out)";
constexpr FamilyPooling kTokenPooling{.only = pools_by_token, .when = kUnderAHead};
constexpr FamilyPooling kFlaxPooling{
    .only = pools_by_token_if_present, .when = "if there is a class token", .without_head = true};

constexpr std::string_view kOurPatches = "patch_embed.proj.weight";
constexpr std::string_view kHfPatches = "embeddings.patch_embeddings.projection.weight";
constexpr std::string_view kTowerPatches = "embeddings.patch_embedding.weight";
constexpr std::string_view kFlaxPatches = "embedding/kernel";

constexpr FamilyCode kDinov2Code{.resize_with_registers = kBicubicAntialias,
                                 .pooling = kTokenPooling,
                                 .needs_class_token = true,
                                 .square_images = true,
                                 .prefix_positions = true};
constexpr FamilyCode kHfVitCode{.norm_eps = kHfVitEps,
                                .pooling = kTokenPooling,
                                .needs_class_token = true,
                                .prefix_positions = true};
constexpr FamilyCode kFlaxCode{
    .gelu = Activation::kGeluTanh, .resize = kBilinearCorners, .pooling = kFlaxPooling};

constexpr FamilyCode with_swiglu(FamilyCode code) {
  code.mlp = FamilyMlp::kSwiGlu;
  code.mlp_dim_multiple = 8;
  return code;
}

constexpr FamilyCode with_pooling(FamilyCode code, FamilyPooling pooling) {
  code.pooling = pooling;
  return code;
}

constexpr FamilyCode with_positions(FamilyCode code, bool prefix, bool fixed) {
  code.prefix_positions = prefix;
  code.fixed_positions = fixed;
  return code;
}

constexpr FamilyCode kHfDinov2Code =
    with_pooling(kDinov2Code, {.only = pools_as_hf_dinov2, .when = kUnderAHead});

FamilyTensors hf_tensors(std::span<const NameRow> rows, std::string_view marker,
                         std::string_view (*body_prefix)(const VitOptions&)) {
  return {.rows = rows,
          .aliases = hf_in_memory_names(),
          .anchor = kHfPatches,
          .marker = marker,
          .body_prefix = body_prefix};
}

FamilyTensors hf_dinov2_tensors(std::span<const NameRow> rows, std::string_view marker) {
  auto tensors = hf_tensors(rows, marker, hf_dinov2_prefix);
  tensors.to_ours = add_register_positions;
  tensors.from_ours = drop_register_positions;
  return tensors;
}

FamilyTensors dinov2_tensors(std::span<const NameRow> rows, std::string_view marker) {
  return {.rows = rows,
          .anchor = kOurPatches,
          .marker = marker,
          .to_ours = add_register_positions,
          .from_ours = to_dinov2};
}

constexpr FamilyConfigs hf_configs(Json (*config)(const ModelDescription&)) {
  return {.key = "model_type",
          .config = config,
          .preprocessor = huggingface_preprocessor,
          .tells_eps = true,
          .is_needed = true};
}

const std::vector<Family>& table() {
  static const std::vector<Family> rows{
      {.name = "ours",
       .naming = "ours",
       .is_ours = true,
       .tensors = {.anchor = kOurPatches, .marker = "blocks.*.moe.experts.fc1_weight"},
       .code = {.gelu = Activation::kGeluTanh,
                .resize = kBilinearCorners,
                .mlp = FamilyMlp::kEither,
                .fixed_positions = true,
                .pooled_norm = true},
       .pixels = kHalfBilinear},
      // The giants, whose MLPs are SwiGLU.
      {.name = "dinov2_swiglu",
       .naming = "dinov2",
       .writes = has_swiglu,
       .tensors = dinov2_tensors(dinov2_swiglu_names(), "blocks.*.mlp.w12.weight"),
       .code = with_swiglu(kDinov2Code),
       .pixels = kImagenetCropped},
      {.name = "dinov2",
       .naming = "dinov2",
       .writes = has_plain_mlp,
       .tensors = dinov2_tensors(dinov2_names(), "mask_token"),
       .code = kDinov2Code,
       .pixels = kImagenetCropped},
      {.name = "timm",
       .naming = "timm",
       .tensors = {.rows = timm_names(),
                   .anchor = kOurPatches,
                   .to_ours = drop_qk_norm_biases,
                   .from_ours = add_qk_norm_biases},
       .code = {.variants = kTimmVariants,
                .resize = kBicubicAntialias,
                .mlp = FamilyMlp::kEither,
                .patch_bias = FamilyPatchBias::kWithoutPreNorm,
                .pooling = {.token_avg = false},
                .pools_prefix = true,
                .pooled_norm = true,
                .outdated_pre_logits = true,
                .norms_after_branches = true},
       .pixels = kHalfCropped,
       .configs = {.key = "architecture", .config = timm_config}},
      // With the heads of class and distillation token.
      {.name = "hf_deit_distilled",
       .naming = "huggingface",
       .writes = writes_hf_deit_distilled,
       .tensors =
           hf_tensors(hf_deit_distilled_names(), "distillation_classifier.weight", hf_deit_prefix),
       .code = kHfVitCode,
       .pixels = kImagenet,
       .crop_floor = true,
       .configs = hf_configs(hf_deit_distilled_config)},
      // Reads its class token alone.
      {.name = "hf_deit",
       .naming = "huggingface",
       .writes = writes_hf_deit,
       .tensors = hf_tensors(hf_deit_names(), "embeddings.distillation_token", hf_deit_prefix),
       .code = kHfVitCode,
       .pixels = kImagenet,
       .crop_floor = true,
       .configs = hf_configs(hf_deit_config)},
      // The giants, whose MLPs are SwiGLU.
      {.name = "hf_dinov2_swiglu",
       .naming = "huggingface",
       .writes = writes_hf_dinov2_swiglu,
       .tensors =
           hf_dinov2_tensors(hf_dinov2_swiglu_names(), "encoder.layer.*.mlp.weights_in.weight"),
       .code = with_swiglu(kHfDinov2Code),
       .pixels = kImagenet,
       .crop_floor = true,
       .configs = hf_configs(hf_dinov2_config)},
      {.name = "hf_dinov2",
       .naming = "huggingface",
       .writes = writes_hf_dinov2,
       .tensors = hf_dinov2_tensors(hf_dinov2_names(), "encoder.layer.*.layer_scale1.lambda1"),
       .code = kHfDinov2Code,
       .pixels = kImagenet,
       .crop_floor = true,
       .configs = hf_configs(hf_dinov2_config)},
      {.name = "hf_vit",
       .naming = "huggingface",
       .writes = writes_hf_vit,
       .tensors =
           hf_tensors(hf_vit_names(), "encoder.layer.*.layernorm_before.weight", hf_vit_prefix),
       .code = kHfVitCode,
       .pixels = kHalfBilinear,
       .crop_floor = true,
       .configs = hf_configs(hf_vit_config)},
      {.name = "hf_clip",
       .naming = "huggingface",
       .writes = writes_hf_clip,
       .tensors = {.rows = hf_clip_names(),
                   .anchor = kTowerPatches,
                   .marker = "embeddings.class_embedding",
                   .to_ours = add_head_bias,
                   .from_ours = drop_head_bias,
                   .body_prefix = hf_tower_prefix},
       .code = {.gelu = Activation::kGeluQuick,
                .norm_eps = kClipNormEps,
                .patch_bias = FamilyPatchBias::kNever,
                .pooling = kTokenPooling,
                .needs_class_token = true,
                .square_images = true,
                .prefix_positions = true},
       .pixels = kClipPixels,
       .crop_floor = true,
       .configs = hf_configs(hf_clip_config)},
      {.name = "hf_siglip",
       .naming = "huggingface",
       .writes = writes_hf_siglip,
       .tensors = {.rows = hf_siglip_names(),
                   .anchor = kTowerPatches,
                   .marker = "encoder.layers.*.layer_norm1.weight",
                   .to_ours = drop_unused_pool,
                   .body_prefix = hf_tower_prefix},
       .code = {.gelu = Activation::kGeluTanh,
                .pooling = {.only = pools_as_hf_siglip, .when = kUnderAHead},
                .square_images = true},
       .pixels = kHalf,
       .crop_floor = true,
       .configs = hf_configs(hf_siglip_config)},
      {.name = "vmoe",
       .naming = "vmoe",
       .tensors = {.rows = vmoe_names(),
                   .anchor = kFlaxPatches,
                   .marker = "Encoder/encoderblock_*/LayerNorm_0/scale"},
       .code = with_positions(kFlaxCode, /*prefix=*/true, /*fixed=*/true),
       .pixels = kHalfBilinear},
      {.name = "vision_transformer",
       .naming = "vision_transformer",
       .tensors = {.rows = vision_transformer_names(),
                   .anchor = kFlaxPatches,
                   .marker = "Transformer/encoderblock_*/MlpBlock_3/Dense_0/kernel"},
       .code = with_positions(kFlaxCode, /*prefix=*/true, /*fixed=*/false),
       .pixels = kHalfBilinear},
      {.name = "big_vision",
       .naming = "big_vision",
       .tensors = {.rows = big_vision_names(),
                   .anchor = kFlaxPatches,
                   .marker = "Transformer/encoderblock_*/MlpBlock_0/Dense_0/kernel"},
       .code = with_positions(kFlaxCode, /*prefix=*/false, /*fixed=*/true),
       .pixels = kHalfBilinear},
      {.name = "big_vision_scanned",
       .naming = "big_vision_scanned",
       .tensors = {.rows = big_vision_names(),
                   .anchor = kFlaxPatches,
                   .marker = "Transformer/encoderblock/MlpBlock_0/Dense_0/kernel",
                   .scanned = true},
       .code = with_positions(kFlaxCode, /*prefix=*/false, /*fixed=*/true),
       .pixels = kHalfBilinear},
  };
  return rows;
}

}  // namespace

std::span<const Family> families() { return table(); }

const Family& find_family(const std::string& name) { return find_row(families(), name, "family"); }

std::vector<std::string> namings() {
  std::vector<std::string> names;
  for (const auto& family : families()) {
    if (std::find(names.begin(), names.end(), family.naming) == names.end()) {
      names.emplace_back(family.naming);
    }
  }
  return names;
}

const Family& output_family(const std::string& naming, const VitOptions& options) {
  for (const auto& family : families()) {
    if (family.naming == naming && (family.writes == nullptr || family.writes(options))) {
      return family;
    }
  }
  return find_family(naming);
}

const FamilyVariant* find_variant(const Family& family, const VitOptions& options,
                                  const std::optional<std::string>& architecture) {
  for (const auto& variant : family.code.variants) {
    if (variant.fits(options, architecture)) {
      return &variant;
    }
  }
  return nullptr;
}

}  // namespace softmoe
