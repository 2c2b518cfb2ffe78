#include "checkpoints/convert/image_text_names.h"

#include <array>

#include "checkpoints/convert/name_tables.h"

namespace softmoe {
namespace {

using enum AxisLayout;

/// Names in the text towers of SigLIP and CLIP.
constexpr std::array kHfText = {
    NameRow{"text_model.embeddings.token_embedding.weight", "text.token_embed", kSame, 2},
    NameRow{"text_model.embeddings.position_embedding.weight", "text.pos_embed", kSame, 2},
    NameRow{"text_model.encoder.layers.*.layer_norm1.weight", "text.blocks.*.norm1.weight"},
    NameRow{"text_model.encoder.layers.*.layer_norm1.bias", "text.blocks.*.norm1.bias"},
    NameRow{"text_model.encoder.layers.*.self_attn.q_proj.weight", "text.blocks.*.attn.qkv.weight",
            kSame, 2, kAllRows, kQueryRows},
    NameRow{"text_model.encoder.layers.*.self_attn.q_proj.bias", "text.blocks.*.attn.qkv.bias",
            kSame, 1, kAllRows, kQueryRows},
    NameRow{"text_model.encoder.layers.*.self_attn.k_proj.weight", "text.blocks.*.attn.qkv.weight",
            kSame, 2, kAllRows, kKeyRows},
    NameRow{"text_model.encoder.layers.*.self_attn.k_proj.bias", "text.blocks.*.attn.qkv.bias",
            kSame, 1, kAllRows, kKeyRows},
    NameRow{"text_model.encoder.layers.*.self_attn.v_proj.weight", "text.blocks.*.attn.qkv.weight",
            kSame, 2, kAllRows, kValueRows},
    NameRow{"text_model.encoder.layers.*.self_attn.v_proj.bias", "text.blocks.*.attn.qkv.bias",
            kSame, 1, kAllRows, kValueRows},
    NameRow{"text_model.encoder.layers.*.self_attn.out_proj.weight",
            "text.blocks.*.attn.proj.weight", kSame, 2},
    NameRow{"text_model.encoder.layers.*.self_attn.out_proj.bias", "text.blocks.*.attn.proj.bias"},
    NameRow{"text_model.encoder.layers.*.layer_norm2.weight", "text.blocks.*.norm2.weight"},
    NameRow{"text_model.encoder.layers.*.layer_norm2.bias", "text.blocks.*.norm2.bias"},
    NameRow{"text_model.encoder.layers.*.mlp.fc1.weight", "text.blocks.*.mlp.fc1.weight", kSame, 2},
    NameRow{"text_model.encoder.layers.*.mlp.fc1.bias", "text.blocks.*.mlp.fc1.bias"},
    NameRow{"text_model.encoder.layers.*.mlp.fc2.weight", "text.blocks.*.mlp.fc2.weight", kSame, 2},
    NameRow{"text_model.encoder.layers.*.mlp.fc2.bias", "text.blocks.*.mlp.fc2.bias"},
    NameRow{"text_model.final_layer_norm.weight", "text.norm.weight"},
    NameRow{"text_model.final_layer_norm.bias", "text.norm.bias"},
};

constexpr std::array kHfClipRest = {
    NameRow{"text_projection.weight", "text.projection.weight", kSame, 2},
    NameRow{"visual_projection.weight", "image_projection.weight", kSame, 2},
    NameRow{"logit_scale", "logit_scale", kSame, 0},
};

constexpr std::array kHfSiglipRest = {
    NameRow{"text_model.head.weight", "text.projection.weight", kSame, 2},
    NameRow{"text_model.head.bias", "text.projection.bias"},
    NameRow{"logit_scale", "logit_scale", kOneValue},
    NameRow{"logit_bias", "logit_bias", kOneValue},
};

/// open_clip's text tower at the root.
constexpr std::array kOpenClipText = {
    NameRow{"token_embedding.weight", "text.token_embed", kSame, 2},
    NameRow{"positional_embedding", "text.pos_embed", kSame, 2},
    NameRow{"transformer.resblocks.*.ln_1.weight", "text.blocks.*.norm1.weight"},
    NameRow{"transformer.resblocks.*.ln_1.bias", "text.blocks.*.norm1.bias"},
    NameRow{"transformer.resblocks.*.attn.in_proj_weight", "text.blocks.*.attn.qkv.weight", kSame,
            2},
    NameRow{"transformer.resblocks.*.attn.in_proj_bias", "text.blocks.*.attn.qkv.bias"},
    NameRow{"transformer.resblocks.*.attn.out_proj.weight", "text.blocks.*.attn.proj.weight", kSame,
            2},
    NameRow{"transformer.resblocks.*.attn.out_proj.bias", "text.blocks.*.attn.proj.bias"},
    NameRow{"transformer.resblocks.*.ln_2.weight", "text.blocks.*.norm2.weight"},
    NameRow{"transformer.resblocks.*.ln_2.bias", "text.blocks.*.norm2.bias"},
    NameRow{"transformer.resblocks.*.mlp.c_fc.weight", "text.blocks.*.mlp.fc1.weight", kSame, 2},
    NameRow{"transformer.resblocks.*.mlp.c_fc.bias", "text.blocks.*.mlp.fc1.bias"},
    NameRow{"transformer.resblocks.*.mlp.c_proj.weight", "text.blocks.*.mlp.fc2.weight", kSame, 2},
    NameRow{"transformer.resblocks.*.mlp.c_proj.bias", "text.blocks.*.mlp.fc2.bias"},
    NameRow{"ln_final.weight", "text.norm.weight"},
    NameRow{"ln_final.bias", "text.norm.bias"},
};

/// open_clip's text tower as a module of its own.
constexpr std::array kOpenClipCustomText = {
    NameRow{"text.token_embedding.weight", "text.token_embed", kSame, 2},
    NameRow{"text.positional_embedding", "text.pos_embed", kSame, 2},
    NameRow{"text.transformer.resblocks.*.ln_1.weight", "text.blocks.*.norm1.weight"},
    NameRow{"text.transformer.resblocks.*.ln_1.bias", "text.blocks.*.norm1.bias"},
    NameRow{"text.transformer.resblocks.*.attn.in_proj_weight", "text.blocks.*.attn.qkv.weight",
            kSame, 2},
    NameRow{"text.transformer.resblocks.*.attn.in_proj_bias", "text.blocks.*.attn.qkv.bias"},
    NameRow{"text.transformer.resblocks.*.attn.out_proj.weight", "text.blocks.*.attn.proj.weight",
            kSame, 2},
    NameRow{"text.transformer.resblocks.*.attn.out_proj.bias", "text.blocks.*.attn.proj.bias"},
    NameRow{"text.transformer.resblocks.*.ln_2.weight", "text.blocks.*.norm2.weight"},
    NameRow{"text.transformer.resblocks.*.ln_2.bias", "text.blocks.*.norm2.bias"},
    NameRow{"text.transformer.resblocks.*.mlp.c_fc.weight", "text.blocks.*.mlp.fc1.weight", kSame,
            2},
    NameRow{"text.transformer.resblocks.*.mlp.c_fc.bias", "text.blocks.*.mlp.fc1.bias"},
    NameRow{"text.transformer.resblocks.*.mlp.c_proj.weight", "text.blocks.*.mlp.fc2.weight", kSame,
            2},
    NameRow{"text.transformer.resblocks.*.mlp.c_proj.bias", "text.blocks.*.mlp.fc2.bias"},
    NameRow{"text.ln_final.weight", "text.norm.weight"},
    NameRow{"text.ln_final.bias", "text.norm.bias"},
};

/// open_clip's image tower.
constexpr std::array kOpenClipTower = {
    NameRow{"conv1.weight", "patch_embed.proj.weight", kSame, 4},
    NameRow{"class_embedding", "cls_token", kTwoLeading},
    NameRow{"positional_embedding", "pos_embed", kOneLeading, 2},
    NameRow{"ln_pre.weight", "norm_pre.weight"},
    NameRow{"ln_pre.bias", "norm_pre.bias"},
    NameRow{"transformer.resblocks.*.ln_1.weight", "blocks.*.norm1.weight"},
    NameRow{"transformer.resblocks.*.ln_1.bias", "blocks.*.norm1.bias"},
    NameRow{"transformer.resblocks.*.attn.in_proj_weight", "blocks.*.attn.qkv.weight", kSame, 2},
    NameRow{"transformer.resblocks.*.attn.in_proj_bias", "blocks.*.attn.qkv.bias"},
    NameRow{"transformer.resblocks.*.attn.out_proj.weight", "blocks.*.attn.proj.weight", kSame, 2},
    NameRow{"transformer.resblocks.*.attn.out_proj.bias", "blocks.*.attn.proj.bias"},
    NameRow{"transformer.resblocks.*.ln_2.weight", "blocks.*.norm2.weight"},
    NameRow{"transformer.resblocks.*.ln_2.bias", "blocks.*.norm2.bias"},
    NameRow{"transformer.resblocks.*.mlp.c_fc.weight", "blocks.*.mlp.fc1.weight", kSame, 2},
    NameRow{"transformer.resblocks.*.mlp.c_fc.bias", "blocks.*.mlp.fc1.bias"},
    NameRow{"transformer.resblocks.*.mlp.c_proj.weight", "blocks.*.mlp.fc2.weight", kSame, 2},
    NameRow{"transformer.resblocks.*.mlp.c_proj.bias", "blocks.*.mlp.fc2.bias"},
    NameRow{"ln_post.weight", "norm.weight"},
    NameRow{"ln_post.bias", "norm.bias"},
};

constexpr std::array kOpenClipLogits = {
    NameRow{"logit_scale", "logit_scale", kSame, 0},
    NameRow{"logit_bias", "logit_bias", kSame, 0},
};

constexpr std::array kOpenClipRest = {
    NameRow{"text_projection", "text.projection.weight", kTransposed, 2},
    NameRow{"visual.proj", "image_projection.weight", kTransposed, 2},
};

constexpr std::array kOpenClipCustomRest = {
    NameRow{"text.text_projection.weight", "text.projection.weight", kSame, 2},
    NameRow{"text.text_projection.bias", "text.projection.bias"},
};

constexpr auto kHfClipTexts = joined(kHfText, kHfClipRest);
constexpr auto kHfSiglipTexts = joined(kHfText, kHfSiglipRest);
constexpr auto kOpenClip = joined(kOpenClipText, kOpenClipRest, kOpenClipLogits);
constexpr auto kOpenClipCustom = joined(kOpenClipCustomText, kOpenClipCustomRest, kOpenClipLogits);

}  // namespace

std::span<const NameRow> hf_clip_text_names() { return kHfClipTexts; }
std::span<const NameRow> hf_siglip_text_names() { return kHfSiglipTexts; }
std::span<const NameRow> open_clip_text_names() { return kOpenClip; }
std::span<const NameRow> open_clip_custom_text_names() { return kOpenClipCustom; }
std::span<const NameRow> open_clip_tower_names() { return kOpenClipTower; }

}  // namespace softmoe
