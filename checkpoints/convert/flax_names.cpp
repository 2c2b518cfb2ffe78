#include "checkpoints/convert/flax_names.h"

#include <array>

#include "checkpoints/convert/name_tables.h"

namespace softmoe {
namespace {

using enum AxisLayout;

/// Names in all three libraries.
constexpr std::array kEnds = {
    NameRow{"embedding/kernel", "patch_embed.proj.weight", kPatches, 4},
    NameRow{"embedding/bias", "patch_embed.proj.bias"},
    NameRow{"cls", "cls_token", kSame, 3},
    NameRow{"pre_logits/kernel", "pre_logits.weight", kTransposed, 2},
    NameRow{"pre_logits/bias", "pre_logits.bias"},
    NameRow{"head/kernel", "head.weight", kTransposed, 2},
    NameRow{"head/bias", "head.bias"},
};

/// Names in big_vision and vision_transformer, which number the parts of a block differently.
constexpr std::array kTransformer = {
    NameRow{"Transformer/encoderblock_*/LayerNorm_0/scale", "blocks.*.norm1.weight"},
    NameRow{"Transformer/encoderblock_*/LayerNorm_0/bias", "blocks.*.norm1.bias"},
    NameRow{"Transformer/encoder_norm/scale", "norm.weight"},
    NameRow{"Transformer/encoder_norm/bias", "norm.bias"},
    NameRow{"MAPHead_0/probe", "attn_pool.latent", kSame, 3},
    NameRow{"MAPHead_0/MultiHeadDotProductAttention_0/query/kernel", "attn_pool.q.weight",
            kHeadsOut, 3},
    NameRow{"MAPHead_0/MultiHeadDotProductAttention_0/query/bias", "attn_pool.q.bias", kHeadsBias,
            2},
    NameRow{"MAPHead_0/MultiHeadDotProductAttention_0/key/kernel", "attn_pool.kv.weight", kHeadsOut,
            3, kAllRows, kFirstHalfRows},
    NameRow{"MAPHead_0/MultiHeadDotProductAttention_0/key/bias", "attn_pool.kv.bias", kHeadsBias, 2,
            kAllRows, kFirstHalfRows},
    NameRow{"MAPHead_0/MultiHeadDotProductAttention_0/value/kernel", "attn_pool.kv.weight",
            kHeadsOut, 3, kAllRows, kSecondHalfRows},
    NameRow{"MAPHead_0/MultiHeadDotProductAttention_0/value/bias", "attn_pool.kv.bias", kHeadsBias,
            2, kAllRows, kSecondHalfRows},
    NameRow{"MAPHead_0/MultiHeadDotProductAttention_0/query_ln/scale", "attn_pool.q_norm.weight"},
    NameRow{"MAPHead_0/MultiHeadDotProductAttention_0/key_ln/scale", "attn_pool.k_norm.weight"},
    NameRow{"MAPHead_0/MultiHeadDotProductAttention_0/out/kernel", "attn_pool.proj.weight",
            kHeadsIn, 3},
    NameRow{"MAPHead_0/MultiHeadDotProductAttention_0/out/bias", "attn_pool.proj.bias"},
    NameRow{"MAPHead_0/LayerNorm_0/scale", "attn_pool.norm.weight"},
    NameRow{"MAPHead_0/LayerNorm_0/bias", "attn_pool.norm.bias"},
    NameRow{"MAPHead_0/MlpBlock_0/Dense_0/kernel", "attn_pool.mlp.fc1.weight", kTransposed, 2},
    NameRow{"MAPHead_0/MlpBlock_0/Dense_0/bias", "attn_pool.mlp.fc1.bias"},
    NameRow{"MAPHead_0/MlpBlock_0/Dense_1/kernel", "attn_pool.mlp.fc2.weight", kTransposed, 2},
    NameRow{"MAPHead_0/MlpBlock_0/Dense_1/bias", "attn_pool.mlp.fc2.bias"},
};

constexpr std::array kBigVisionRest = {
    NameRow{"pos_embedding", "pos_embed", kSame, 3},
    NameRow{"Transformer/encoderblock_*/MultiHeadDotProductAttention_0/query/kernel",
            "blocks.*.attn.qkv.weight", kHeadsOut, 3, kAllRows, kQueryRows},
    NameRow{"Transformer/encoderblock_*/MultiHeadDotProductAttention_0/query/bias",
            "blocks.*.attn.qkv.bias", kHeadsBias, 2, kAllRows, kQueryRows},
    NameRow{"Transformer/encoderblock_*/MultiHeadDotProductAttention_0/key/kernel",
            "blocks.*.attn.qkv.weight", kHeadsOut, 3, kAllRows, kKeyRows},
    NameRow{"Transformer/encoderblock_*/MultiHeadDotProductAttention_0/key/bias",
            "blocks.*.attn.qkv.bias", kHeadsBias, 2, kAllRows, kKeyRows},
    NameRow{"Transformer/encoderblock_*/MultiHeadDotProductAttention_0/value/kernel",
            "blocks.*.attn.qkv.weight", kHeadsOut, 3, kAllRows, kValueRows},
    NameRow{"Transformer/encoderblock_*/MultiHeadDotProductAttention_0/value/bias",
            "blocks.*.attn.qkv.bias", kHeadsBias, 2, kAllRows, kValueRows},
    NameRow{"Transformer/encoderblock_*/MultiHeadDotProductAttention_0/query_ln/scale",
            "blocks.*.attn.q_norm.weight"},
    NameRow{"Transformer/encoderblock_*/MultiHeadDotProductAttention_0/key_ln/scale",
            "blocks.*.attn.k_norm.weight"},
    NameRow{"Transformer/encoderblock_*/MultiHeadDotProductAttention_0/out/kernel",
            "blocks.*.attn.proj.weight", kHeadsIn, 3},
    NameRow{"Transformer/encoderblock_*/MultiHeadDotProductAttention_0/out/bias",
            "blocks.*.attn.proj.bias"},
    NameRow{"Transformer/encoderblock_*/LayerNorm_1/scale", "blocks.*.norm2.weight"},
    NameRow{"Transformer/encoderblock_*/LayerNorm_1/bias", "blocks.*.norm2.bias"},
    NameRow{"Transformer/encoderblock_*/MlpBlock_0/Dense_0/kernel", "blocks.*.mlp.fc1.weight",
            kTransposed, 2},
    NameRow{"Transformer/encoderblock_*/MlpBlock_0/Dense_0/bias", "blocks.*.mlp.fc1.bias"},
    NameRow{"Transformer/encoderblock_*/MlpBlock_0/Dense_1/kernel", "blocks.*.mlp.fc2.weight",
            kTransposed, 2},
    NameRow{"Transformer/encoderblock_*/MlpBlock_0/Dense_1/bias", "blocks.*.mlp.fc2.bias"},
};

constexpr std::array kVisionTransformerRest = {
    NameRow{"Transformer/posembed_input/pos_embedding", "pos_embed", kSame, 3},
    NameRow{"Transformer/encoderblock_*/MultiHeadDotProductAttention_1/query/kernel",
            "blocks.*.attn.qkv.weight", kHeadsOut, 3, kAllRows, kQueryRows},
    NameRow{"Transformer/encoderblock_*/MultiHeadDotProductAttention_1/query/bias",
            "blocks.*.attn.qkv.bias", kHeadsBias, 2, kAllRows, kQueryRows},
    NameRow{"Transformer/encoderblock_*/MultiHeadDotProductAttention_1/key/kernel",
            "blocks.*.attn.qkv.weight", kHeadsOut, 3, kAllRows, kKeyRows},
    NameRow{"Transformer/encoderblock_*/MultiHeadDotProductAttention_1/key/bias",
            "blocks.*.attn.qkv.bias", kHeadsBias, 2, kAllRows, kKeyRows},
    NameRow{"Transformer/encoderblock_*/MultiHeadDotProductAttention_1/value/kernel",
            "blocks.*.attn.qkv.weight", kHeadsOut, 3, kAllRows, kValueRows},
    NameRow{"Transformer/encoderblock_*/MultiHeadDotProductAttention_1/value/bias",
            "blocks.*.attn.qkv.bias", kHeadsBias, 2, kAllRows, kValueRows},
    NameRow{"Transformer/encoderblock_*/MultiHeadDotProductAttention_1/query_ln/scale",
            "blocks.*.attn.q_norm.weight"},
    NameRow{"Transformer/encoderblock_*/MultiHeadDotProductAttention_1/key_ln/scale",
            "blocks.*.attn.k_norm.weight"},
    NameRow{"Transformer/encoderblock_*/MultiHeadDotProductAttention_1/out/kernel",
            "blocks.*.attn.proj.weight", kHeadsIn, 3},
    NameRow{"Transformer/encoderblock_*/MultiHeadDotProductAttention_1/out/bias",
            "blocks.*.attn.proj.bias"},
    NameRow{"Transformer/encoderblock_*/LayerNorm_2/scale", "blocks.*.norm2.weight"},
    NameRow{"Transformer/encoderblock_*/LayerNorm_2/bias", "blocks.*.norm2.bias"},
    NameRow{"Transformer/encoderblock_*/MlpBlock_3/Dense_0/kernel", "blocks.*.mlp.fc1.weight",
            kTransposed, 2},
    NameRow{"Transformer/encoderblock_*/MlpBlock_3/Dense_0/bias", "blocks.*.mlp.fc1.bias"},
    NameRow{"Transformer/encoderblock_*/MlpBlock_3/Dense_1/kernel", "blocks.*.mlp.fc2.weight",
            kTransposed, 2},
    NameRow{"Transformer/encoderblock_*/MlpBlock_3/Dense_1/bias", "blocks.*.mlp.fc2.bias"},
};

constexpr std::array kVmoeRest = {
    NameRow{"Encoder/posembed_input/pos_embedding", "pos_embed", kSame, 3},
    NameRow{"Encoder/encoderblock_*/LayerNorm_0/scale", "blocks.*.norm1.weight"},
    NameRow{"Encoder/encoderblock_*/LayerNorm_0/bias", "blocks.*.norm1.bias"},
    NameRow{"Encoder/encoderblock_*/SelfAttention/query/kernel", "blocks.*.attn.qkv.weight",
            kHeadsOut, 3, kAllRows, kQueryRows},
    NameRow{"Encoder/encoderblock_*/SelfAttention/query/bias", "blocks.*.attn.qkv.bias", kHeadsBias,
            2, kAllRows, kQueryRows},
    NameRow{"Encoder/encoderblock_*/SelfAttention/key/kernel", "blocks.*.attn.qkv.weight",
            kHeadsOut, 3, kAllRows, kKeyRows},
    NameRow{"Encoder/encoderblock_*/SelfAttention/key/bias", "blocks.*.attn.qkv.bias", kHeadsBias,
            2, kAllRows, kKeyRows},
    NameRow{"Encoder/encoderblock_*/SelfAttention/value/kernel", "blocks.*.attn.qkv.weight",
            kHeadsOut, 3, kAllRows, kValueRows},
    NameRow{"Encoder/encoderblock_*/SelfAttention/value/bias", "blocks.*.attn.qkv.bias", kHeadsBias,
            2, kAllRows, kValueRows},
    NameRow{"Encoder/encoderblock_*/SelfAttention/query_ln/scale", "blocks.*.attn.q_norm.weight"},
    NameRow{"Encoder/encoderblock_*/SelfAttention/key_ln/scale", "blocks.*.attn.k_norm.weight"},
    NameRow{"Encoder/encoderblock_*/SelfAttention/out/kernel", "blocks.*.attn.proj.weight",
            kHeadsIn, 3},
    NameRow{"Encoder/encoderblock_*/SelfAttention/out/bias", "blocks.*.attn.proj.bias"},
    NameRow{"Encoder/encoderblock_*/LayerNorm_1/scale", "blocks.*.norm2.weight"},
    NameRow{"Encoder/encoderblock_*/LayerNorm_1/bias", "blocks.*.norm2.bias"},
    NameRow{"Encoder/encoderblock_*/Mlp/Dense_0/kernel", "blocks.*.mlp.fc1.weight", kTransposed, 2},
    NameRow{"Encoder/encoderblock_*/Mlp/Dense_0/bias", "blocks.*.mlp.fc1.bias"},
    NameRow{"Encoder/encoderblock_*/Mlp/Dense_1/kernel", "blocks.*.mlp.fc2.weight", kTransposed, 2},
    NameRow{"Encoder/encoderblock_*/Mlp/Dense_1/bias", "blocks.*.mlp.fc2.bias"},
    NameRow{"Encoder/encoderblock_*/Moe/Router/mu", "blocks.*.moe.router.phi", kSame, 3},
    NameRow{"Encoder/encoderblock_*/Moe/Router/scale", "blocks.*.moe.router.scale", kSame, 0},
    NameRow{"Encoder/encoderblock_*/Moe/Router/dense/kernel", "blocks.*.moe.router.weight",
            kTransposed, 2},
    NameRow{"Encoder/encoderblock_*/Moe/Mlp/Dense_0/kernel", "blocks.*.moe.experts.fc1_weight",
            kTransposed, 3},
    NameRow{"Encoder/encoderblock_*/Moe/Mlp/Dense_0/bias", "blocks.*.moe.experts.fc1_bias", kSame,
            2},
    NameRow{"Encoder/encoderblock_*/Moe/Mlp/Dense_1/kernel", "blocks.*.moe.experts.fc2_weight",
            kTransposed, 3},
    NameRow{"Encoder/encoderblock_*/Moe/Mlp/Dense_1/bias", "blocks.*.moe.experts.fc2_bias", kSame,
            2},
    NameRow{"Encoder/encoder_norm/scale", "norm.weight"},
    NameRow{"Encoder/encoder_norm/bias", "norm.bias"},
    NameRow{"MapHead/probe", "attn_pool.latent", kSame, 3},
    NameRow{"MapHead/MultiHeadDotProductAttention/query/kernel", "attn_pool.q.weight", kHeadsOut,
            3},
    NameRow{"MapHead/MultiHeadDotProductAttention/query/bias", "attn_pool.q.bias", kHeadsBias, 2},
    NameRow{"MapHead/MultiHeadDotProductAttention/key/kernel", "attn_pool.kv.weight", kHeadsOut, 3,
            kAllRows, kFirstHalfRows},
    NameRow{"MapHead/MultiHeadDotProductAttention/key/bias", "attn_pool.kv.bias", kHeadsBias, 2,
            kAllRows, kFirstHalfRows},
    NameRow{"MapHead/MultiHeadDotProductAttention/value/kernel", "attn_pool.kv.weight", kHeadsOut,
            3, kAllRows, kSecondHalfRows},
    NameRow{"MapHead/MultiHeadDotProductAttention/value/bias", "attn_pool.kv.bias", kHeadsBias, 2,
            kAllRows, kSecondHalfRows},
    NameRow{"MapHead/MultiHeadDotProductAttention/query_ln/scale", "attn_pool.q_norm.weight"},
    NameRow{"MapHead/MultiHeadDotProductAttention/key_ln/scale", "attn_pool.k_norm.weight"},
    NameRow{"MapHead/MultiHeadDotProductAttention/out/kernel", "attn_pool.proj.weight", kHeadsIn,
            3},
    NameRow{"MapHead/MultiHeadDotProductAttention/out/bias", "attn_pool.proj.bias"},
    NameRow{"MapHead/LayerNorm/scale", "attn_pool.norm.weight"},
    NameRow{"MapHead/LayerNorm/bias", "attn_pool.norm.bias"},
    NameRow{"MapHead/Mlp/Dense_0/kernel", "attn_pool.mlp.fc1.weight", kTransposed, 2},
    NameRow{"MapHead/Mlp/Dense_0/bias", "attn_pool.mlp.fc1.bias"},
    NameRow{"MapHead/Mlp/Dense_1/kernel", "attn_pool.mlp.fc2.weight", kTransposed, 2},
    NameRow{"MapHead/Mlp/Dense_1/bias", "attn_pool.mlp.fc2.bias"},
};

constexpr auto kBigVision = joined(kEnds, kTransformer, kBigVisionRest);
constexpr auto kVisionTransformer = joined(kEnds, kTransformer, kVisionTransformerRest);
constexpr auto kVmoe = joined(kEnds, kVmoeRest);

}  // namespace

std::span<const NameRow> big_vision_names() { return kBigVision; }
std::span<const NameRow> vision_transformer_names() { return kVisionTransformer; }
std::span<const NameRow> vmoe_names() { return kVmoe; }

}  // namespace softmoe
