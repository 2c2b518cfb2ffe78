#include "checkpoints/convert/timm_names.h"

#include <array>

#include "checkpoints/convert/name_tables.h"

namespace softmoe {
namespace {

using enum AxisLayout;

/// Names in both timm and DINOv2's own code: all except MLPs, some tokens and heads.
constexpr std::array kTimmBody = {
    NameRow{"patch_embed.proj.weight", "patch_embed.proj.weight", kSame, 4},
    NameRow{"patch_embed.proj.bias", "patch_embed.proj.bias"},
    NameRow{"cls_token", "cls_token", kSame, 3},
    NameRow{"pos_embed", "pos_embed", kSame, 3},
    NameRow{"blocks.*.norm1.weight", "blocks.*.norm1.weight"},
    NameRow{"blocks.*.norm1.bias", "blocks.*.norm1.bias"},
    NameRow{"blocks.*.attn.qkv.weight", "blocks.*.attn.qkv.weight", kSame, 2},
    NameRow{"blocks.*.attn.qkv.bias", "blocks.*.attn.qkv.bias"},
    NameRow{"blocks.*.attn.proj.weight", "blocks.*.attn.proj.weight", kSame, 2},
    NameRow{"blocks.*.attn.proj.bias", "blocks.*.attn.proj.bias"},
    NameRow{"blocks.*.ls1.gamma", "blocks.*.ls1.gamma"},
    NameRow{"blocks.*.norm2.weight", "blocks.*.norm2.weight"},
    NameRow{"blocks.*.norm2.bias", "blocks.*.norm2.bias"},
    NameRow{"blocks.*.ls2.gamma", "blocks.*.ls2.gamma"},
    NameRow{"norm.weight", "norm.weight"},
    NameRow{"norm.bias", "norm.bias"},
};

constexpr std::array kMlp = {
    NameRow{"blocks.*.mlp.fc1.weight", "blocks.*.mlp.fc1.weight", kSame, 2},
    NameRow{"blocks.*.mlp.fc1.bias", "blocks.*.mlp.fc1.bias"},
    NameRow{"blocks.*.mlp.fc2.weight", "blocks.*.mlp.fc2.weight", kSame, 2},
    NameRow{"blocks.*.mlp.fc2.bias", "blocks.*.mlp.fc2.bias"},
};

constexpr std::array kTimmRest = {
    NameRow{"dist_token", "dist_token", kSame, 3},
    NameRow{"reg_token", "reg_token", kSame, 3},
    NameRow{"norm_pre.weight", "norm_pre.weight"},
    NameRow{"norm_pre.bias", "norm_pre.bias"},
    NameRow{"blocks.*.attn.q_norm.weight", "blocks.*.attn.q_norm.weight"},
    NameRow{"blocks.*.attn.q_norm.bias", "blocks.*.attn.q_norm.bias"},
    NameRow{"blocks.*.attn.k_norm.weight", "blocks.*.attn.k_norm.weight"},
    NameRow{"blocks.*.attn.k_norm.bias", "blocks.*.attn.k_norm.bias"},
    NameRow{"fc_norm.weight", "fc_norm.weight"},
    NameRow{"fc_norm.bias", "fc_norm.bias"},
    NameRow{"pre_logits.fc.weight", "pre_logits.weight", kSame, 2},
    NameRow{"pre_logits.fc.bias", "pre_logits.bias"},
    NameRow{"attn_pool.latent", "attn_pool.latent", kSame, 3},
    NameRow{"attn_pool.q.weight", "attn_pool.q.weight", kSame, 2},
    NameRow{"attn_pool.q.bias", "attn_pool.q.bias"},
    NameRow{"attn_pool.kv.weight", "attn_pool.kv.weight", kSame, 2},
    NameRow{"attn_pool.kv.bias", "attn_pool.kv.bias"},
    NameRow{"attn_pool.proj.weight", "attn_pool.proj.weight", kSame, 2},
    NameRow{"attn_pool.proj.bias", "attn_pool.proj.bias"},
    NameRow{"attn_pool.q_norm.weight", "attn_pool.q_norm.weight"},
    NameRow{"attn_pool.q_norm.bias", "attn_pool.q_norm.bias"},
    NameRow{"attn_pool.k_norm.weight", "attn_pool.k_norm.weight"},
    NameRow{"attn_pool.k_norm.bias", "attn_pool.k_norm.bias"},
    NameRow{"attn_pool.norm.weight", "attn_pool.norm.weight"},
    NameRow{"attn_pool.norm.bias", "attn_pool.norm.bias"},
    NameRow{"attn_pool.mlp.fc1.weight", "attn_pool.mlp.fc1.weight", kSame, 2},
    NameRow{"attn_pool.mlp.fc1.bias", "attn_pool.mlp.fc1.bias"},
    NameRow{"attn_pool.mlp.fc2.weight", "attn_pool.mlp.fc2.weight", kSame, 2},
    NameRow{"attn_pool.mlp.fc2.bias", "attn_pool.mlp.fc2.bias"},
    NameRow{"head.weight", "head.weight", kSame, 2},
    NameRow{"head.bias", "head.bias"},
    NameRow{"head_dist.weight", "head_dist.weight", kSame, 2},
    NameRow{"head_dist.bias", "head_dist.bias"},
};

constexpr std::array kDinov2Tokens = {
    NameRow{"register_tokens", "reg_token", kSame, 3},
    // Of training alone: left out of files that are read, written because their code wants it.
    NameRow{"mask_token", "mask_token", kSame, 2},
};

constexpr std::array kSwiGlu = {
    NameRow{"blocks.*.mlp.w12.weight", "blocks.*.mlp.fc1.weight", kSame, 2},
    NameRow{"blocks.*.mlp.w12.bias", "blocks.*.mlp.fc1.bias"},
    NameRow{"blocks.*.mlp.w3.weight", "blocks.*.mlp.fc2.weight", kSame, 2},
    NameRow{"blocks.*.mlp.w3.bias", "blocks.*.mlp.fc2.bias"},
};

constexpr auto kTimm = joined(kTimmBody, kMlp, kTimmRest);
constexpr auto kTimmDinov2 = joined(kTimmBody, kMlp, kDinov2Tokens);
constexpr auto kTimmDinov2Giant = joined(kTimmBody, kSwiGlu, kDinov2Tokens);

}  // namespace

std::span<const NameRow> timm_names() { return kTimm; }
std::span<const NameRow> dinov2_names() { return kTimmDinov2; }
std::span<const NameRow> dinov2_swiglu_names() { return kTimmDinov2Giant; }

}  // namespace softmoe
