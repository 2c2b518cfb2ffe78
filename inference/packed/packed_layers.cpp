#include "inference/packed/packed_layers.h"

#include <fmt/format.h>

#include "kernels/table.h"
#include "ops/soft_routing.h"
#include "softmoe/router_scale.h"
#include "softmoe/routers.h"
#include "vit/moe_blocks.h"
#include "vit/position_embedding.h"

namespace softmoe {
namespace {

/// Blocks at the start of an int8 model whose attention, and whose MLP if it is dense, has linear
/// maps of bf16.
constexpr int64_t kBf16Attention = 4;
constexpr int64_t kBf16Mlps = 2;
/// Maximum of hidden values of an MLP that are computed and used up at a time.
constexpr int64_t kMaxHidden = 1024;

std::string block_name(int64_t block, const std::string& rest) {
  return fmt::format("blocks.{}.{}", block, rest);
}

torch::Tensor fp32(const torch::Tensor& tensor) {
  return tensor.detach().to(torch::kFloat32).contiguous();
}

/// The weight or bias of SwiGLU's fc1, gates [hidden, ...] before values [hidden, ...], with 16
/// gates and their values in turn, and zeros up to whole panels.
torch::Tensor paired(const torch::Tensor& fc1) {
  constexpr int64_t kEach = kernels::kPanelColumns / 2;
  const int64_t hidden = fc1.size(0) / 2;
  const int64_t panels = kernels::panels_of(2 * hidden);
  auto parts = fc1.reshape({2, hidden, -1});  // [2, hidden, rest]
  if (const int64_t missing = panels * kEach - hidden; missing > 0) {
    parts = torch::constant_pad_nd(parts, {0, 0, 0, missing});
  }
  return parts.view({2, panels, kEach, -1}).transpose(0, 1).flatten(0, 2);  // [panels * 32, rest]
}

/// Takes the tensors of a model one by one.
class Packer {
 public:
  Packer(const VitOptions& options, NamedTensors weights, Precision precision)
      : options_(options), weights_(std::move(weights)), precision_(precision) {}

  PackedLayers pack() {
    auto layers = pack_blocks();
    layers.positions = positions();
    layers.patch =
        PackedWeights(take("patch_embed.proj.weight").flatten(1), {}, {.precision = pixels()});
    if (options_.pre_norm) {
      layers.pre_norm = norm("norm_pre");
    }
    if (options_.pre_logits > 0) {
      layers.pre_logits = linear("pre_logits", {.precision = Precision::kFloat32});
    }
    if (options_.num_classes > 0) {
      const std::vector<std::string> names = options_.dist_token
                                                 ? std::vector<std::string>{"head", "head_dist"}
                                                 : std::vector<std::string>{"head"};
      const auto share =
          torch::full({options_.num_classes}, 1.0 / static_cast<double>(names.size()));
      for (const auto& name : names) {
        layers.heads.push_back(linear(name, {.precision = Precision::kFloat32, .factors = share}));
      }
    }
    return layers;
  }

  PackedTextLayers pack_text(const TextOptions& text) {
    PackedTextLayers tower;
    tower.options = text;
    tower.layers = pack_blocks();
    tower.layers.causal = text.causal;
    tower.token_embed = fp32(take("token_embed"));  // [vocab_size, dim]
    tower.pos_embed = fp32(take("pos_embed"));      // [context, dim]
    if (text.embed_dim > 0) {
      tower.projection = linear("projection", {.precision = Precision::kFloat32});
    }
    return tower;
  }

 private:
  /// What images and texts have in common.
  PackedLayers pack_blocks() {
    PackedLayers layers;
    layers.options = options_;
    layers.values = values();
    layers.activation = mlp_activation(options_);
    const auto mask = moe_block_mask(options_.moe_blocks, options_.depth);
    for (int64_t index = 0; index < options_.depth; ++index) {
      layers.blocks.push_back(block(index, mask[static_cast<size_t>(index)]));
    }
    layers.norm = norm(options_.final_norm == FinalNorm::kTokens ? "norm" : "fc_norm");
    return layers;
  }

  /// The tensor leaves the map, so that packing it can take over its memory.
  torch::Tensor take(const std::string& name) {
    auto node = weights_.extract(name);
    TORCH_CHECK_VALUE(!node.empty(), "PackedLayers: no tensor ", name);
    return std::move(node.mapped());
  }
  torch::Tensor take_if_there(const std::string& name) {
    return weights_.contains(name) ? take(name) : torch::Tensor();
  }

  Precision values() const {
    return precision_ == Precision::kFloat32 ? Precision::kFloat32 : Precision::kBFloat16;
  }
  /// The precision of patches.
  Precision pixels() const {
    return precision_ == Precision::kInt8 ? Precision::kFloat32 : values();
  }
  /// The precision of linear maps in block `index`. The first `wide` blocks have no integers.
  Precision linears(int64_t index, int64_t wide) const {
    return precision_ == Precision::kInt8 && index >= wide ? Precision::kInt8 : values();
  }
  Precision experts() const { return has_8_bit_weights(precision_) ? Precision::kInt8 : values(); }

  PackedWeights linear(const std::string& name, const PackingOptions& options) {
    auto weight = take(name + ".weight");
    const auto bias = take_if_there(name + ".bias");
    return {std::move(weight), bias, options};
  }

  PackedNorm norm(const std::string& name) {
    return {.weight = fp32(take(name + ".weight")),
            .bias = fp32(take(name + ".bias")),
            .eps = static_cast<float>(options_.norm_eps)};
  }

  /// What tokens start with: position embedding, prefix tokens, and the bias of the patches.
  torch::Tensor positions() {
    const bool learns = options_.pos_embed == PositionEmbedding::kLearned;
    const auto learned = learns ? take("pos_embed") : torch::Tensor();
    std::vector<torch::Tensor> prefix;
    for (const char* const name : {"cls_token", "dist_token", "reg_token"}) {
      if (const auto tokens = take_if_there(name); tokens.defined()) {
        prefix.push_back(tokens.detach());
      }
    }
    auto table = token_offsets(options_, learned, prefix)[0].clone();  // [tokens, dim]
    if (const auto bias = take_if_there("patch_embed.proj.bias"); bias.defined()) {
      table.slice(0, options_.prefix_tokens()).add_(fp32(bias));
    }
    return table;
  }

  /// gamma of LayerScale, or undefined.
  torch::Tensor layer_scale(int64_t index, const char* name) {
    const auto gamma = take_if_there(block_name(index, std::string(name) + ".gamma"));
    return gamma.defined() ? fp32(gamma) : gamma;
  }

  /// The product of factors of channels, either of which may be undefined.
  static torch::Tensor product(const torch::Tensor& a, const torch::Tensor& b) {
    return a.defined() && b.defined() ? a * b : a.defined() ? a : b;
  }

  void pack_attention(int64_t index, PackedBlock& block) {
    const int64_t dim = options_.dim;
    const kernels::PackedAttention attention{.precision = values(),
                                             .tokens = options_.tokens(),
                                             .heads = options_.heads,
                                             .head_dim = dim / options_.heads};
    const double factor = kernels::query_factor(attention);
    torch::Tensor factors;
    if (options_.qk_norm) {
      block.query_norm = fp32(take(block_name(index, "attn.q_norm.weight"))) * factor;
      block.key_norm = fp32(take(block_name(index, "attn.k_norm.weight")));
    } else {
      factors = torch::ones({3 * dim});
      factors.slice(0, 0, dim).fill_(factor);
    }
    const auto precision = linears(index, kBf16Attention);
    block.qkv = linear(block_name(index, "attn.qkv"), {.precision = precision, .factors = factors});
    block.proj = linear(block_name(index, "attn.proj"),
                        {.precision = precision, .factors = layer_scale(index, "ls1")});
  }

  /// `gamma`: of LayerScale, or undefined.
  void pack_dense_mlp(int64_t index, const torch::Tensor& gamma, PackedMlp& mlp) {
    const int64_t hidden = options_.mlp_dim;
    const int64_t parts = (hidden + kMaxHidden - 1) / kMaxHidden;
    const int64_t chunk = kernels::round_up((hidden + parts - 1) / parts, 32);
    const auto precision = linears(index, kBf16Mlps);
    if (options_.mlp_layer == MlpLayer::kSwiGlu) {
      for (const char* const name : {"mlp.fc1.weight", "mlp.fc1.bias"}) {
        auto& fc1 = weights_.at(block_name(index, name));
        fc1 = paired(fc1);
      }
    }
    mlp.fc1 = linear(block_name(index, "mlp.fc1"), {.precision = precision});
    mlp.fc2 = linear(block_name(index, "mlp.fc2"),
                     {.precision = precision, .chunk = chunk, .factors = gamma});
  }

  PackedMixing mixing(int64_t index, const MoeLayerOptions& layer, SoftMixing kind) {
    PackedMixing mixing{.mixing = kind,
                        .combine = layer.moe.combine,
                        .experts = layer.moe.experts,
                        .slots_per_expert = slots_per_expert(layer),
                        .eps = static_cast<float>(layer.moe.router_eps)};
    if (kind != SoftMixing::kUniform) {
      const auto phi = take(block_name(index, "moe.router.phi"));  // [dim, experts, slots]
      const auto scale_of = [&](const char* name) {
        return router_scale(fp32(take(block_name(index, name))), layer.moe);
      };
      const auto scale = scale_of("moe.router.scale");
      const auto keys = soft_keys(fp32(phi).flatten(1), scale, layer.moe.router_eps);
      mixing.keys = PackedWeights(keys.t(), {}, {.precision = Precision::kFloat32});
      if (weights_.contains(block_name(index, "moe.router.combine_scale"))) {
        mixing.combine_ratio = (scale_of("moe.router.combine_scale") / scale).item<float>();
      }
    }
    return mixing;
  }

  void pack_moe(int64_t index, PackedBlock& block) {
    const auto layer = moe_layer_options(options_);
    const auto branch = layer_scale(index, "ls2");
    const auto gamma = product(branch, layer_scale(index, "moe"));
    if (const auto kind = router_row(layer.moe.router).mixing) {
      block.mixing = mixing(index, layer, *kind);
    } else {
      const auto prefix = block_name(index, "moe.router.");
      block.router = pack_router(layer, take_part(weights_, prefix), prefix);
      block.router.layer_scale = gamma;
    }
    PackingOptions options{.precision = experts(),
                           .wide_rows = precision_ == Precision::kInt8Experts};
    const auto pack = [&](const std::string& name) {
      const auto experts = block_name(index, "moe.experts." + name);
      auto weight = take(experts + "_weight");
      const auto bias = take(experts + "_bias");
      return PackedWeights(std::move(weight), bias, options);
    };
    block.mlp.fc1 = pack("fc1");
    options.factors = gamma;
    block.mlp.fc2 = pack("fc2");
    if (layer.moe.shared_mlp) {
      pack_dense_mlp(index, branch, block.shared);
    }
  }

  PackedBlock block(int64_t index, bool has_moe) {
    PackedBlock block;
    block.norm1 = norm(block_name(index, "norm1"));
    pack_attention(index, block);
    block.norm2 = norm(block_name(index, "norm2"));
    if (has_moe) {
      pack_moe(index, block);
    } else {
      pack_dense_mlp(index, layer_scale(index, "ls2"), block.mlp);
    }
    return block;
  }

  const VitOptions& options_;
  NamedTensors weights_;
  Precision precision_;
};

}  // namespace

kernels::RowNorm PackedNorm::rows() const {
  return {.dim = weight.size(0),
          .eps = eps,
          .weight = weight.const_data_ptr<float>(),
          .bias = bias.const_data_ptr<float>()};
}

int64_t PackedLayers::bytes() const {
  int64_t total = patch.bytes() + pre_logits.bytes();
  for (const auto& block : blocks) {
    total += block.qkv.bytes() + block.proj.bytes() + block.mixing.keys.bytes() +
             block.mlp.fc1.bytes() + block.mlp.fc2.bytes() + block.shared.fc1.bytes() +
             block.shared.fc2.bytes();
  }
  for (const auto& head : heads) {
    total += head.bytes();
  }
  return total;
}

PackedLayers pack_layers(const VitOptions& options, NamedTensors weights, Precision precision) {
  const torch::NoGradGuard no_grad;
  return Packer(options, std::move(weights), precision).pack();
}

PackedTextLayers pack_text_layers(const TextOptions& options, NamedTensors weights,
                                  Precision precision) {
  const torch::NoGradGuard no_grad;
  const auto blocks = block_options(options);
  return Packer(blocks, std::move(weights), precision).pack_text(options);
}

}  // namespace softmoe
