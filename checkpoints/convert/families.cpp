#include "checkpoints/convert/families.h"

#include <fmt/format.h>

#include <algorithm>

#include "checkpoints/convert/family_names.h"
#include "checkpoints/convert/scanned_blocks.h"
#include "core/error.h"
#include "core/registry.h"

namespace softmoe {
namespace {

constexpr FamilyPixels kImagenet{.mean = {0.485, 0.456, 0.406}, .std = {0.229, 0.224, 0.225}};
constexpr FamilyPixels kImagenetCropped{
    .mean = kImagenet.mean, .std = kImagenet.std, .crop_pct = 0.875};
constexpr FamilyPixels kHalf{};
constexpr FamilyPixels kHalfWhole{.interpolation = "bilinear"};
constexpr FamilyPixels kHalfCropped{.crop_pct = 0.9};
constexpr FamilyPixels kOpenAi{.mean = {0.48145466, 0.4578275, 0.40821073},
                               .std = {0.26862954, 0.26130258, 0.27577711}};
constexpr FamilyPixels kFlax{.interpolation = "bilinear"};

bool is_zero(const torch::Tensor& tensor) { return tensor.eq(0).all().item<bool>(); }

/// CLIP's projection has no bias; ours is a head with one.
void add_head_bias(NamedTensors& tensors, const std::string& /*where*/) {
  const auto weight = tensors.find("head.weight");
  if (weight != tensors.end() && !tensors.contains("head.bias")) {
    tensors["head.bias"] = torch::zeros({weight->second.size(0)}, weight->second.options());
  }
}

void drop_head_bias(NamedTensors& tensors, const std::string& where) {
  const auto bias = tensors.find("head.bias");
  if (bias != tensors.end() && !is_zero(bias->second)) {
    throw InputError(where + ": head.bias", "zeros: CLIP's projection has none", "others");
  }
  tensors.erase("head.bias");
}

/// DINOv2 has no positions for registers; ours may be zero.
void add_register_positions(NamedTensors& tensors, const std::string& /*where*/) {
  const auto registers = tensors.find("reg_token");
  const auto positions = tensors.find("pos_embed");
  if (registers == tensors.end() || positions == tensors.end() || positions->second.size(1) < 1) {
    return;
  }
  const auto& table = positions->second;  // [1, 1 + patches, dim]
  positions->second = torch::cat({table.narrow(1, 0, 1), torch::zeros_like(registers->second),
                                  table.narrow(1, 1, table.size(1) - 1)},
                                 1);  // [1, 1 + registers + patches, dim]
}

/// What stands for hidden patches in the training of DINOv2, without which its code has no model.
void add_mask_token(NamedTensors& tensors) {
  const auto class_token = tensors.find("cls_token");
  if (class_token != tensors.end()) {
    tensors["mask_token"] = torch::zeros_like(class_token->second).flatten(0, 1);  // [1, dim]
  }
}

/// The classifier of Hugging Face's SigLIP reads the mean of the tokens, not the attention pool.
void drop_unused_pool(NamedTensors& tensors, const std::string& /*where*/) {
  if (tensors.contains("head.weight")) {
    std::erase_if(tensors, [](const auto& item) { return item.first.starts_with("attn_pool."); });
  }
}

void drop_register_positions(NamedTensors& tensors, const std::string& where) {
  const auto registers = tensors.find("reg_token");
  const auto positions = tensors.find("pos_embed");
  if (registers == tensors.end() || positions == tensors.end()) {
    return;
  }
  const auto& table = positions->second;  // [1, 1 + registers + patches, dim]
  const int64_t count = registers->second.size(1);
  if (table.size(1) < 1 + count || !is_zero(table.narrow(1, 1, count))) {
    throw InputError(where + ": pos_embed", "zeros for registers: DINOv2 has no positions for them",
                     "others");
  }
  const auto patches = table.narrow(1, 1 + count, table.size(1) - 1 - count);
  positions->second = torch::cat({table.narrow(1, 0, 1), patches}, 1);
}

void to_dinov2(NamedTensors& tensors, const std::string& where) {
  drop_register_positions(tensors, where);
  add_mask_token(tensors);
}

/// timm's QK-norm has biases, ours has none.
void drop_qk_norm_biases(NamedTensors& tensors, const std::string& where) {
  std::erase_if(tensors, [&](const auto& item) {
    const auto& [name, tensor] = item;
    if (!name.ends_with("q_norm.bias") && !name.ends_with("k_norm.bias")) {
      return false;
    }
    if (!is_zero(tensor)) {
      throw InputError(where + ": " + name, "zeros: QK-norm has no bias here", "others");
    }
    return true;
  });
}

void add_qk_norm_biases(NamedTensors& tensors, const std::string& /*where*/) {
  NamedTensors biases;
  for (const auto& [name, tensor] : tensors) {
    if (name.ends_with("q_norm.weight") || name.ends_with("k_norm.weight")) {
      biases[name.substr(0, name.rfind('.')) + ".bias"] = torch::zeros_like(tensor);
    }
  }
  tensors.merge(biases);
}

/// Gives queries, keys and values zero biases where no block has any; whether it had to.
bool add_qkv_biases(NamedTensors& tensors) {
  NamedTensors biases;
  for (const auto& [name, tensor] : tensors) {
    if (name.ends_with(".attn.qkv.bias")) {
      return false;
    }
    if (name.ends_with(".attn.qkv.weight") && tensor.dim() == 2) {
      biases[name.substr(0, name.rfind('.')) + ".bias"] =
          torch::zeros({tensor.size(0)}, tensor.options());
    }
  }
  const bool added = !biases.empty();
  tensors.merge(biases);
  return added;
}

constexpr std::string_view kOurPatches = "patch_embed.proj.weight";
constexpr std::string_view kHfPatches = "embeddings.patch_embeddings.projection.weight";
constexpr std::string_view kTowerPatches = "embeddings.patch_embedding.weight";
constexpr std::string_view kFlaxPatches = "embedding/kernel";

const std::vector<Family>& table() {
  using enum PositionResize;
  static const std::vector<Family> rows{
      {.name = "ours",
       .meaning = "MoE models under the names of this project",
       .naming = "ours",
       .rows = {},
       .anchor = kOurPatches,
       .marker = "blocks.*.moe.experts.fc1_weight",
       .gelu = Activation::kGeluTanh,
       .resize = kBilinearCorners,
       .pixels = kHalfWhole,
       .fixed_positions = true},
      {.name = "dinov2_swiglu",
       .meaning = "the giants of facebookresearch/dinov2, whose MLPs are SwiGLU",
       .naming = "dinov2",
       .rows = dinov2_swiglu_names(),
       .anchor = kOurPatches,
       .marker = "blocks.*.mlp.w12.weight",
       .pixels = kImagenetCropped,
       .to_ours = add_register_positions,
       .from_ours = to_dinov2,
       .prefix_positions = true},
      {.name = "dinov2",
       .meaning = "facebookresearch/dinov2, with or without registers",
       .naming = "dinov2",
       .rows = dinov2_names(),
       .anchor = kOurPatches,
       .marker = "mask_token",
       .pixels = kImagenetCropped,
       .to_ours = add_register_positions,
       .from_ours = to_dinov2,
       .prefix_positions = true},
      {.name = "timm",
       .meaning = "timm's vision_transformer and deit",
       .naming = "timm",
       .rows = timm_names(),
       .anchor = kOurPatches,
       .marker = "",
       .resize = kBicubicAntialias,
       .pixels = kHalfCropped,
       .to_ours = drop_qk_norm_biases,
       .from_ours = add_qk_norm_biases},
      {.name = "hf_deit_distilled",
       .meaning = "Hugging Face DeiT with the heads of class and distillation token",
       .naming = "huggingface",
       .rows = hf_deit_distilled_names(),
       .anchor = kHfPatches,
       .marker = "distillation_classifier.weight",
       .norm_eps = 1e-12,
       .pixels = kImagenet,
       .prefix_positions = true},
      {.name = "hf_deit",
       .meaning = "Hugging Face DeiT that reads its class token alone",
       .naming = "huggingface",
       .rows = hf_deit_names(),
       .anchor = kHfPatches,
       .marker = "embeddings.distillation_token",
       .norm_eps = 1e-12,
       .pixels = kImagenet,
       .prefix_positions = true},
      {.name = "hf_dinov2_swiglu",
       .meaning = "the giants of Hugging Face DINOv2, whose MLPs are SwiGLU",
       .naming = "huggingface",
       .rows = hf_dinov2_swiglu_names(),
       .anchor = kHfPatches,
       .marker = "encoder.layer.*.mlp.weights_in.weight",
       .pixels = kImagenet,
       .to_ours = add_register_positions,
       .from_ours = drop_register_positions,
       .prefix_positions = true},
      {.name = "hf_dinov2",
       .meaning = "Hugging Face DINOv2, with or without registers",
       .naming = "huggingface",
       .rows = hf_dinov2_names(),
       .anchor = kHfPatches,
       .marker = "encoder.layer.*.layer_scale1.lambda1",
       .pixels = kImagenet,
       .to_ours = add_register_positions,
       .from_ours = drop_register_positions,
       .prefix_positions = true},
      {.name = "hf_vit",
       .meaning = "Hugging Face ViT",
       .naming = "huggingface",
       .rows = hf_vit_names(),
       .anchor = kHfPatches,
       .marker = "encoder.layer.*.layernorm_before.weight",
       .norm_eps = 1e-12,
       .pixels = kHalfWhole,
       .prefix_positions = true},
      {.name = "hf_clip",
       .meaning = "Hugging Face CLIP, the vision tower",
       .naming = "huggingface",
       .rows = hf_clip_names(),
       .anchor = kTowerPatches,
       .marker = "embeddings.class_embedding",
       .gelu = Activation::kGeluQuick,
       .norm_eps = 1e-5,
       .pixels = kOpenAi,
       .to_ours = add_head_bias,
       .from_ours = drop_head_bias,
       .prefix_positions = true},
      {.name = "hf_siglip",
       .meaning = "Hugging Face SigLIP, the vision tower",
       .naming = "huggingface",
       .rows = hf_siglip_names(),
       .anchor = kTowerPatches,
       .marker = "encoder.layers.*.layer_norm1.weight",
       .gelu = Activation::kGeluTanh,
       .pixels = kHalf,
       .to_ours = drop_unused_pool},
      {.name = "vmoe",
       .meaning = "google-research/vmoe: dense, Soft MoE, tokens choice, experts choice",
       .naming = "vmoe",
       .rows = vmoe_names(),
       .anchor = kFlaxPatches,
       .marker = "Encoder/encoderblock_*/LayerNorm_0/scale",
       .gelu = Activation::kGeluTanh,
       .resize = kBilinearCorners,
       .pixels = kFlax,
       .prefix_positions = true,
       .fixed_positions = true},
      {.name = "vision_transformer",
       .meaning = "google-research/vision_transformer",
       .naming = "vision_transformer",
       .rows = vision_transformer_names(),
       .anchor = kFlaxPatches,
       .marker = "Transformer/encoderblock_*/MlpBlock_3/Dense_0/kernel",
       .gelu = Activation::kGeluTanh,
       .resize = kBilinearCorners,
       .pixels = kFlax,
       .prefix_positions = true},
      {.name = "big_vision",
       .meaning = "google-research/big_vision",
       .naming = "big_vision",
       .rows = big_vision_names(),
       .anchor = kFlaxPatches,
       .marker = "Transformer/encoderblock_*/MlpBlock_0/Dense_0/kernel",
       .gelu = Activation::kGeluTanh,
       .resize = kBilinearCorners,
       .pixels = kFlax,
       .fixed_positions = true},
      {.name = "big_vision_scanned",
       .meaning = "the same with all blocks in one tensor",
       .naming = "big_vision",
       .rows = big_vision_names(),
       .anchor = kFlaxPatches,
       .marker = "Transformer/encoderblock/MlpBlock_0/Dense_0/kernel",
       .gelu = Activation::kGeluTanh,
       .resize = kBilinearCorners,
       .pixels = kFlax,
       .fixed_positions = true,
       .scanned = true},
  };
  return rows;
}

}  // namespace

std::span<const Family> families() { return table(); }

const Family& find_family(const std::string& name) { return find_row(families(), name, "family"); }

NamedTensors to_family_names(const NamedTensors& tensors, const Family& family, int64_t heads,
                             const std::string& where) {
  auto ours = tensors;
  if (family.from_ours != nullptr) {
    family.from_ours(ours, where);
  }
  if (family.rows.empty()) {
    return ours;
  }
  auto theirs = to_their_names(ours, family.rows, heads, where);
  return family.scanned ? stacked_blocks(theirs) : theirs;
}

RenamedTensors to_our_names(const FoundModel& found, const std::string& where) {
  const auto& family = *found.family;
  RenamedTensors renamed{.tensors = found.tensors, .unmatched = {}, .heads = 0};
  if (!family.rows.empty()) {
    renamed = to_our_names(found.tensors, family.rows, where);
  }
  auto unmatched = found.unmatched;
  unmatched.insert(unmatched.end(), renamed.unmatched.begin(), renamed.unmatched.end());
  if (!unmatched.empty()) {
    throw InputError(fmt::format(
        "{}: no counterpart of {} (read as family {}; convert --leave-out does without)", where,
        name_list(unmatched), family.name));
  }
  if (family.to_ours != nullptr) {
    family.to_ours(renamed.tensors, where);
  }
  renamed.has_qkv_bias = !add_qkv_biases(renamed.tensors);
  return renamed;
}

}  // namespace softmoe
