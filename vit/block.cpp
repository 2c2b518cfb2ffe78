#include "vit/block.h"

namespace softmoe {

BlockImpl::BlockImpl(const VitOptions& options, bool has_moe, double drop_path_rate)
    : options_(options), has_moe_(has_moe), drop_path_rate_(drop_path_rate) {
  BlockImpl::reset();
}

void BlockImpl::reset() {
  norm1 = register_module("norm1", LayerNorm(options_.dim, options_.norm_eps));
  attn = register_module("attn", Attention(options_));
  norm2 = register_module("norm2", LayerNorm(options_.dim, options_.norm_eps));
  if (has_moe_) {
    moe = register_module("moe", MoeLayer(moe_layer_options(options_)));
  } else {
    mlp = register_module(
        "mlp", Mlp(options_.dim, options_.mlp_dim, mlp_activation(options_), options_.drop));
  }
  if (options_.layer_scale > 0) {
    ls1 = register_module("ls1", LayerScale(options_.dim, options_.layer_scale));
    ls2 = register_module("ls2", LayerScale(options_.dim, options_.layer_scale));
  }
}

torch::Tensor BlockImpl::forward(torch::Tensor x, const TokenContext& context,
                                 RoutingRecord* record) {
  // A branch that is added as it is takes the skip along, so that one operator can do both.
  const bool plain = !ls1 && (drop_path_rate_ <= 0 || !is_training());
  const auto [tokens, skip] = norm1->branch(x, /*for_products=*/true);  // [batch, tokens, dim]
  if (plain) {
    x = attn(tokens, skip);  // [batch, tokens, dim]
  } else {
    const auto mixed = attn(tokens);  // [batch, tokens, dim]
    x = skip + drop_path(ls1 ? ls1(mixed) : mixed, drop_path_rate_, is_training());
  }
  // Routing logits are fp32 under autocast, from tokens in fp32.
  const auto [inputs, rest] = norm2->branch(x, /*for_products=*/!has_moe_);
  if (plain && !has_moe_) {
    return mlp(inputs, rest);  // [batch, tokens, dim]
  }
  const auto out =
      has_moe_ ? moe->forward(inputs, context, record) : mlp(inputs);  // [batch, tokens, dim]
  return rest + drop_path(ls2 ? ls2(out) : out, drop_path_rate_, is_training());
}

}  // namespace softmoe
