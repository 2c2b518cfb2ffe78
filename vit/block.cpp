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
    mlp = register_module("mlp", Mlp(options_.dim, options_.mlp_dim, options_.gelu, options_.drop));
  }
  if (options_.layer_scale > 0) {
    ls1 = register_module("ls1", LayerScale(options_.dim, options_.layer_scale));
    ls2 = register_module("ls2", LayerScale(options_.dim, options_.layer_scale));
  }
}

torch::Tensor BlockImpl::forward(torch::Tensor x, RoutingRecord* record) {
  auto branch = attn(norm1(x));  // [batch, tokens, dim]
  branch = ls1 ? ls1(branch) : branch;
  x = x + drop_path(branch, drop_path_rate_, is_training());
  branch = norm2(x);  // [batch, tokens, dim]
  branch = has_moe_ ? moe->forward(branch, record) : mlp(branch);
  branch = ls2 ? ls2(branch) : branch;
  return x + drop_path(branch, drop_path_rate_, is_training());
}

}  // namespace softmoe
