#include "vit/block.h"

#include "runtime/profiler.h"
#include "vit/drop_path.h"

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
  }
  if (has_mlp(options_, has_moe_)) {
    mlp = register_module(
        "mlp", Mlp(options_.dim, options_.mlp_dim, mlp_activation(options_), options_.drop));
  }
  if (options_.layer_scale > 0) {
    ls1 = register_module("ls1", LayerScale(options_.dim, options_.layer_scale));
    ls2 = register_module("ls2", LayerScale(options_.dim, options_.layer_scale));
  }
}

bool BlockImpl::changes_branches() const { return ls1 || (drop_path_rate_ > 0 && is_training()); }

torch::Tensor BlockImpl::joined(const torch::Tensor& skip, const torch::Tensor& branch,
                                LayerScale& scale) {
  return skip + drop_path(scale ? scale(branch) : branch, drop_path_rate_, is_training());
}

// Attention and MLP add the skip on the way if nothing comes between.

torch::Tensor BlockImpl::forward_attention(const torch::Tensor& x,
                                           const PackedSequences& sequences) {
  const ProfilePart part("attn");
  const auto [tokens, skip] = norm1->branch(x, NormedFor::kProducts);  // [batch, tokens, dim]
  return changes_branches() ? joined(skip, attn->forward(tokens, /*residual=*/{}, sequences), ls1)
                            : attn->forward(tokens, skip, sequences);  // [batch, tokens, dim]
}

torch::Tensor BlockImpl::branch_inputs(const torch::Tensor& x) {
  return norm2(forward_attention(x, /*sequences=*/{}));  // [batch, tokens, dim]
}

torch::Tensor BlockImpl::forward(const torch::Tensor& x, const TokenContext& context,
                                 RoutingRecord* record) {
  const auto mixed = forward_attention(x, context.sequences);  // [batch, tokens, dim]
  const ProfilePart part(has_moe_ ? "moe" : "mlp");
  if (has_moe_) {
    const auto [inputs, rest] = norm2->branch(mixed, NormedFor::kRouting);
    auto branch = moe->forward(inputs, context, record);  // [batch, tokens, dim]
    if (mlp) {
      const ProfilePart shared("mlp");
      branch = mlp(inputs, branch);  // [batch, tokens, dim]
    }
    return joined(rest, branch, ls2);  // [batch, tokens, dim]
  }
  const auto [inputs, rest] = norm2->branch(mixed, NormedFor::kProducts);
  return changes_branches() ? joined(rest, mlp(inputs), ls2)
                            : mlp(inputs, rest);  // [batch, tokens, dim]
}

}  // namespace softmoe
