#include "checkpoints/convert/hf_names.h"

#include <array>

#include "checkpoints/convert/name_tables.h"

namespace softmoe {
namespace {

using enum AxisLayout;

/// Names in ViT, DeiT and DINOv2: all except the norms and MLPs of blocks, and heads.
constexpr std::array kBody = {
    NameRow{"embeddings.patch_embeddings.projection.weight", "patch_embed.proj.weight", kSame, 4},
    NameRow{"embeddings.patch_embeddings.projection.bias", "patch_embed.proj.bias"},
    NameRow{"embeddings.cls_token", "cls_token", kSame, 3},
    NameRow{"embeddings.position_embeddings", "pos_embed", kSame, 3},
    NameRow{"encoder.layer.*.attention.attention.query.weight", "blocks.*.attn.qkv.weight", kSame,
            2, kAllRows, kQueryRows},
    NameRow{"encoder.layer.*.attention.attention.query.bias", "blocks.*.attn.qkv.bias", kSame, 1,
            kAllRows, kQueryRows},
    NameRow{"encoder.layer.*.attention.attention.key.weight", "blocks.*.attn.qkv.weight", kSame, 2,
            kAllRows, kKeyRows},
    NameRow{"encoder.layer.*.attention.attention.key.bias", "blocks.*.attn.qkv.bias", kSame, 1,
            kAllRows, kKeyRows},
    NameRow{"encoder.layer.*.attention.attention.value.weight", "blocks.*.attn.qkv.weight", kSame,
            2, kAllRows, kValueRows},
    NameRow{"encoder.layer.*.attention.attention.value.bias", "blocks.*.attn.qkv.bias", kSame, 1,
            kAllRows, kValueRows},
    NameRow{"encoder.layer.*.attention.output.dense.weight", "blocks.*.attn.proj.weight", kSame, 2},
    NameRow{"encoder.layer.*.attention.output.dense.bias", "blocks.*.attn.proj.bias"},
    NameRow{"layernorm.weight", "norm.weight"},
    NameRow{"layernorm.bias", "norm.bias"},
};

/// The rest of the blocks of ViT and DeiT.
constexpr std::array kHfBlocks = {
    NameRow{"encoder.layer.*.layernorm_before.weight", "blocks.*.norm1.weight"},
    NameRow{"encoder.layer.*.layernorm_before.bias", "blocks.*.norm1.bias"},
    NameRow{"encoder.layer.*.layernorm_after.weight", "blocks.*.norm2.weight"},
    NameRow{"encoder.layer.*.layernorm_after.bias", "blocks.*.norm2.bias"},
    NameRow{"encoder.layer.*.intermediate.dense.weight", "blocks.*.mlp.fc1.weight", kSame, 2},
    NameRow{"encoder.layer.*.intermediate.dense.bias", "blocks.*.mlp.fc1.bias"},
    NameRow{"encoder.layer.*.output.dense.weight", "blocks.*.mlp.fc2.weight", kSame, 2},
    NameRow{"encoder.layer.*.output.dense.bias", "blocks.*.mlp.fc2.bias"},
};

constexpr std::array kClassifier = {
    NameRow{"classifier.weight", "head.weight", kSame, 2},
    NameRow{"classifier.bias", "head.bias"},
};

constexpr std::array kUnreadDistillation = {
    NameRow{"embeddings.distillation_token", "reg_token", kSame, 3},
};

constexpr std::array kDistillation = {
    NameRow{"embeddings.distillation_token", "dist_token", kSame, 3},
    NameRow{"cls_classifier.weight", "head.weight", kSame, 2},
    NameRow{"cls_classifier.bias", "head.bias"},
    NameRow{"distillation_classifier.weight", "head_dist.weight", kSame, 2},
    NameRow{"distillation_classifier.bias", "head_dist.bias"},
};

constexpr std::array kDinov2Rest = {
    NameRow{"embeddings.register_tokens", "reg_token", kSame, 3},
    NameRow{"encoder.layer.*.norm1.weight", "blocks.*.norm1.weight"},
    NameRow{"encoder.layer.*.norm1.bias", "blocks.*.norm1.bias"},
    NameRow{"encoder.layer.*.norm2.weight", "blocks.*.norm2.weight"},
    NameRow{"encoder.layer.*.norm2.bias", "blocks.*.norm2.bias"},
    NameRow{"encoder.layer.*.layer_scale1.lambda1", "blocks.*.ls1.gamma"},
    NameRow{"encoder.layer.*.layer_scale2.lambda1", "blocks.*.ls2.gamma"},
};

constexpr std::array kDinov2Mlp = {
    NameRow{"encoder.layer.*.mlp.fc1.weight", "blocks.*.mlp.fc1.weight", kSame, 2},
    NameRow{"encoder.layer.*.mlp.fc1.bias", "blocks.*.mlp.fc1.bias"},
    NameRow{"encoder.layer.*.mlp.fc2.weight", "blocks.*.mlp.fc2.weight", kSame, 2},
    NameRow{"encoder.layer.*.mlp.fc2.bias", "blocks.*.mlp.fc2.bias"},
};

constexpr std::array kDinov2SwiGlu = {
    NameRow{"encoder.layer.*.mlp.weights_in.weight", "blocks.*.mlp.fc1.weight", kSame, 2},
    NameRow{"encoder.layer.*.mlp.weights_in.bias", "blocks.*.mlp.fc1.bias"},
    NameRow{"encoder.layer.*.mlp.weights_out.weight", "blocks.*.mlp.fc2.weight", kSame, 2},
    NameRow{"encoder.layer.*.mlp.weights_out.bias", "blocks.*.mlp.fc2.bias"},
};

/// Names in the vision towers of SigLIP and CLIP.
constexpr std::array kTower = {
    NameRow{"embeddings.patch_embedding.weight", "patch_embed.proj.weight", kSame, 4},
    NameRow{"embeddings.position_embedding.weight", "pos_embed", kOneLeading, 2},
    NameRow{"encoder.layers.*.layer_norm1.weight", "blocks.*.norm1.weight"},
    NameRow{"encoder.layers.*.layer_norm1.bias", "blocks.*.norm1.bias"},
    NameRow{"encoder.layers.*.self_attn.q_proj.weight", "blocks.*.attn.qkv.weight", kSame, 2,
            kAllRows, kQueryRows},
    NameRow{"encoder.layers.*.self_attn.q_proj.bias", "blocks.*.attn.qkv.bias", kSame, 1, kAllRows,
            kQueryRows},
    NameRow{"encoder.layers.*.self_attn.k_proj.weight", "blocks.*.attn.qkv.weight", kSame, 2,
            kAllRows, kKeyRows},
    NameRow{"encoder.layers.*.self_attn.k_proj.bias", "blocks.*.attn.qkv.bias", kSame, 1, kAllRows,
            kKeyRows},
    NameRow{"encoder.layers.*.self_attn.v_proj.weight", "blocks.*.attn.qkv.weight", kSame, 2,
            kAllRows, kValueRows},
    NameRow{"encoder.layers.*.self_attn.v_proj.bias", "blocks.*.attn.qkv.bias", kSame, 1, kAllRows,
            kValueRows},
    NameRow{"encoder.layers.*.self_attn.out_proj.weight", "blocks.*.attn.proj.weight", kSame, 2},
    NameRow{"encoder.layers.*.self_attn.out_proj.bias", "blocks.*.attn.proj.bias"},
    NameRow{"encoder.layers.*.layer_norm2.weight", "blocks.*.norm2.weight"},
    NameRow{"encoder.layers.*.layer_norm2.bias", "blocks.*.norm2.bias"},
    NameRow{"encoder.layers.*.mlp.fc1.weight", "blocks.*.mlp.fc1.weight", kSame, 2},
    NameRow{"encoder.layers.*.mlp.fc1.bias", "blocks.*.mlp.fc1.bias"},
    NameRow{"encoder.layers.*.mlp.fc2.weight", "blocks.*.mlp.fc2.weight", kSame, 2},
    NameRow{"encoder.layers.*.mlp.fc2.bias", "blocks.*.mlp.fc2.bias"},
    NameRow{"post_layernorm.weight", "norm.weight"},
    NameRow{"post_layernorm.bias", "norm.bias"},
};

constexpr std::array kSiglipRest = {
    NameRow{"embeddings.patch_embedding.bias", "patch_embed.proj.bias"},
    NameRow{"head.probe", "attn_pool.latent", kSame, 3},
    NameRow{"head.attention.in_proj_weight", "attn_pool.q.weight", kSame, 2, kQueryRows},
    NameRow{"head.attention.in_proj_bias", "attn_pool.q.bias", kSame, 1, kQueryRows},
    NameRow{"head.attention.in_proj_weight", "attn_pool.kv.weight", kSame, 2, kKeyAndValueRows},
    NameRow{"head.attention.in_proj_bias", "attn_pool.kv.bias", kSame, 1, kKeyAndValueRows},
    NameRow{"head.attention.out_proj.weight", "attn_pool.proj.weight", kSame, 2},
    NameRow{"head.attention.out_proj.bias", "attn_pool.proj.bias"},
    NameRow{"head.layernorm.weight", "attn_pool.norm.weight"},
    NameRow{"head.layernorm.bias", "attn_pool.norm.bias"},
    NameRow{"head.mlp.fc1.weight", "attn_pool.mlp.fc1.weight", kSame, 2},
    NameRow{"head.mlp.fc1.bias", "attn_pool.mlp.fc1.bias"},
    NameRow{"head.mlp.fc2.weight", "attn_pool.mlp.fc2.weight", kSame, 2},
    NameRow{"head.mlp.fc2.bias", "attn_pool.mlp.fc2.bias"},
};

constexpr std::array kClipRest = {
    NameRow{"embeddings.class_embedding", "cls_token", kTwoLeading},
    NameRow{"pre_layrnorm.weight", "norm_pre.weight"},
    NameRow{"pre_layrnorm.bias", "norm_pre.bias"},
    NameRow{"visual_projection.weight", "head.weight", kSame, 2},
};

constexpr auto kVit = joined(kBody, kHfBlocks, kClassifier);
constexpr auto kDeit = joined(kBody, kHfBlocks, kUnreadDistillation, kClassifier);
constexpr auto kDeitDistilled = joined(kBody, kHfBlocks, kDistillation);
constexpr auto kDinov2 = joined(kBody, kDinov2Rest, kDinov2Mlp, kClassifier);
constexpr auto kDinov2Giant = joined(kBody, kDinov2Rest, kDinov2SwiGlu, kClassifier);
constexpr auto kSiglip = joined(kTower, kSiglipRest, kClassifier);
constexpr auto kClip = joined(kTower, kClipRest);

constexpr std::array kInMemory = {
    NameRow{"layers.*.attention.q_proj.weight", "encoder.layer.*.attention.attention.query.weight",
            kSame, 2},
    NameRow{"layers.*.attention.q_proj.bias", "encoder.layer.*.attention.attention.query.bias"},
    NameRow{"layers.*.attention.k_proj.weight", "encoder.layer.*.attention.attention.key.weight",
            kSame, 2},
    NameRow{"layers.*.attention.k_proj.bias", "encoder.layer.*.attention.attention.key.bias"},
    NameRow{"layers.*.attention.v_proj.weight", "encoder.layer.*.attention.attention.value.weight",
            kSame, 2},
    NameRow{"layers.*.attention.v_proj.bias", "encoder.layer.*.attention.attention.value.bias"},
    NameRow{"layers.*.attention.o_proj.weight", "encoder.layer.*.attention.output.dense.weight",
            kSame, 2},
    NameRow{"layers.*.attention.o_proj.bias", "encoder.layer.*.attention.output.dense.bias"},
    NameRow{"encoder.layer.*.attention.q_proj.weight",
            "encoder.layer.*.attention.attention.query.weight", kSame, 2},
    NameRow{"encoder.layer.*.attention.q_proj.bias",
            "encoder.layer.*.attention.attention.query.bias"},
    NameRow{"encoder.layer.*.attention.k_proj.weight",
            "encoder.layer.*.attention.attention.key.weight", kSame, 2},
    NameRow{"encoder.layer.*.attention.k_proj.bias",
            "encoder.layer.*.attention.attention.key.bias"},
    NameRow{"encoder.layer.*.attention.v_proj.weight",
            "encoder.layer.*.attention.attention.value.weight", kSame, 2},
    NameRow{"encoder.layer.*.attention.v_proj.bias",
            "encoder.layer.*.attention.attention.value.bias"},
    NameRow{"encoder.layer.*.attention.o_proj.weight",
            "encoder.layer.*.attention.output.dense.weight", kSame, 2},
    NameRow{"encoder.layer.*.attention.o_proj.bias", "encoder.layer.*.attention.output.dense.bias"},
    NameRow{"layers.*.layernorm_before.weight", "encoder.layer.*.layernorm_before.weight"},
    NameRow{"layers.*.layernorm_before.bias", "encoder.layer.*.layernorm_before.bias"},
    NameRow{"layers.*.layernorm_after.weight", "encoder.layer.*.layernorm_after.weight"},
    NameRow{"layers.*.layernorm_after.bias", "encoder.layer.*.layernorm_after.bias"},
    NameRow{"layers.*.mlp.fc1.weight", "encoder.layer.*.intermediate.dense.weight", kSame, 2},
    NameRow{"layers.*.mlp.fc1.bias", "encoder.layer.*.intermediate.dense.bias"},
    NameRow{"layers.*.mlp.fc2.weight", "encoder.layer.*.output.dense.weight", kSame, 2},
    NameRow{"layers.*.mlp.fc2.bias", "encoder.layer.*.output.dense.bias"},
    NameRow{"encoder.layer.*.mlp.gate_proj.weight", "encoder.layer.*.mlp.weights_in.weight", kSame,
            2, kAllRows, kFirstHalfRows},
    NameRow{"encoder.layer.*.mlp.gate_proj.bias", "encoder.layer.*.mlp.weights_in.bias", kSame, 1,
            kAllRows, kFirstHalfRows},
    NameRow{"encoder.layer.*.mlp.up_proj.weight", "encoder.layer.*.mlp.weights_in.weight", kSame, 2,
            kAllRows, kSecondHalfRows},
    NameRow{"encoder.layer.*.mlp.up_proj.bias", "encoder.layer.*.mlp.weights_in.bias", kSame, 1,
            kAllRows, kSecondHalfRows},
    NameRow{"encoder.layer.*.mlp.down_proj.weight", "encoder.layer.*.mlp.weights_out.weight", kSame,
            2},
    NameRow{"encoder.layer.*.mlp.down_proj.bias", "encoder.layer.*.mlp.weights_out.bias"},
};

}  // namespace

std::span<const NameRow> hf_vit_names() { return kVit; }
std::span<const NameRow> hf_deit_names() { return kDeit; }
std::span<const NameRow> hf_deit_distilled_names() { return kDeitDistilled; }
std::span<const NameRow> hf_dinov2_names() { return kDinov2; }
std::span<const NameRow> hf_dinov2_swiglu_names() { return kDinov2Giant; }
std::span<const NameRow> hf_siglip_names() { return kSiglip; }
std::span<const NameRow> hf_clip_names() { return kClip; }
std::span<const NameRow> hf_in_memory_names() { return kInMemory; }

}  // namespace softmoe
