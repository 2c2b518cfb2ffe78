#include <array>

#include "checkpoints/family_names.h"

namespace softmoe {
namespace {

using enum AxisLayout;

constexpr std::array kBody = {
    NameRow{"patch_embed.proj.weight", "patch_embed.proj.weight", kSame, 4},
    NameRow{"patch_embed.proj.bias", "patch_embed.proj.bias"},
    NameRow{"cls_token", "cls_token", kSame, 3},
    NameRow{"register_tokens", "reg_token", kSame, 3},
    NameRow{"pos_embed", "pos_embed", kSame, 3},
    // Of training alone: written, as their code wants it, and left out of what is read.
    NameRow{"mask_token", "mask_token", kSame, 2},
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

constexpr std::array kSwiGlu = {
    NameRow{"blocks.*.mlp.w12.weight", "blocks.*.mlp.fc1.weight", kSame, 2},
    NameRow{"blocks.*.mlp.w12.bias", "blocks.*.mlp.fc1.bias"},
    NameRow{"blocks.*.mlp.w3.weight", "blocks.*.mlp.fc2.weight", kSame, 2},
    NameRow{"blocks.*.mlp.w3.bias", "blocks.*.mlp.fc2.bias"},
};

constexpr auto kDinov2 = joined(kBody, kMlp);
constexpr auto kDinov2Giant = joined(kBody, kSwiGlu);

}  // namespace

std::span<const NameRow> dinov2_names() { return kDinov2; }
std::span<const NameRow> dinov2_swiglu_names() { return kDinov2Giant; }

}  // namespace softmoe
