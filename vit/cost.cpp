#include "vit/cost.h"

#include "softmoe/routers.h"
#include "vit/moe_blocks.h"

namespace softmoe {
namespace {

/// Parameters and multiply-adds, the latter as double: they pass 2^63 for no sensible model, but
/// a user may ask for any.
struct Tally {
  int64_t parameters = 0;
  double multiply_adds = 0.0;

  /// A linear map with bias, applied to `rows` rows per image.
  void linear(int64_t rows, int64_t in, int64_t out) {
    parameters += in * out + out;
    multiply_adds += static_cast<double>(rows) * static_cast<double>(in) * static_cast<double>(out);
  }
  void product(int64_t rows, int64_t inner, int64_t columns) {
    multiply_adds +=
        static_cast<double>(rows) * static_cast<double>(inner) * static_cast<double>(columns);
  }
};

void add_attention(Tally& tally, const VitOptions& options) {
  const int64_t tokens = options.tokens();
  const int64_t dim = options.dim;
  tally.linear(tokens, dim, 3 * dim);
  tally.product(tokens, dim, tokens);  // scores, all heads together
  tally.product(tokens, tokens, dim);  // weighted averages
  tally.linear(tokens, dim, dim);
  tally.parameters += options.qk_norm ? 2 * (dim / options.heads) : 0;
}

/// The experts of one layer, applied to the rows that the router gives them.
void add_experts(Tally& tally, const VitOptions& options, double rows) {
  const int64_t hidden = moe_layer_options(options).hidden_dim;
  Tally expert;
  expert.linear(1, options.dim, hidden);
  expert.linear(1, hidden, options.dim);
  tally.parameters += options.moe.experts * expert.parameters;
  tally.multiply_adds += rows * expert.multiply_adds;
}

void add_moe(Tally& tally, const VitOptions& options) {
  const auto routing = router_row(options.moe.router).cost(moe_layer_options(options));
  add_experts(tally, options, routing.expert_rows);
  tally.parameters += routing.parameters;
  tally.parameters += options.moe.moe_layer_scale > 0 ? options.dim : 0;
  tally.multiply_adds += routing.multiply_adds;
}

void add_mlp(Tally& tally, const VitOptions& options) {
  const bool gated = options.mlp_layer == MlpLayer::kSwiGlu;
  tally.linear(options.tokens(), options.dim, gated ? 2 * options.mlp_dim : options.mlp_dim);
  tally.linear(options.tokens(), options.mlp_dim, options.dim);
}

void add_embedding(Tally& tally, const VitOptions& options) {
  tally.linear(options.patches(), options.in_chans * options.patch_size * options.patch_size,
               options.dim);
}

void add_block(Tally& tally, const VitOptions& options, bool has_moe) {
  tally.parameters += 4 * options.dim + (options.layer_scale > 0 ? 2 * options.dim : 0);
  add_attention(tally, options);
  if (has_moe) {
    add_moe(tally, options);
  }
  if (has_mlp(options, has_moe)) {
    add_mlp(tally, options);
  }
}

void add_attention_pool(Tally& tally, const VitOptions& options) {
  const int64_t dim = options.dim;
  tally.parameters += 3 * dim;  // the query and the norm
  tally.parameters += options.qk_norm ? 2 * (dim / options.heads) : 0;
  tally.linear(1, dim, dim);
  tally.linear(options.pooled_tokens(), dim, 2 * dim);
  tally.product(1, dim, options.pooled_tokens());
  tally.product(1, options.pooled_tokens(), dim);
  tally.linear(1, dim, dim);
  tally.linear(1, dim, options.mlp_dim);
  tally.linear(1, options.mlp_dim, dim);
}

}  // namespace

ModelCost model_cost(const VitOptions& options) {
  validate(options);
  Tally tally;
  add_embedding(tally, options);
  tally.parameters -= options.patch_bias ? 0 : options.dim;
  tally.parameters += options.prefix_tokens() * options.dim;
  if (options.pos_embed == PositionEmbedding::kLearned) {
    tally.parameters += (options.prefix_positions() + options.patches()) * options.dim;
  }
  tally.parameters += options.pre_norm ? 2 * options.dim : 0;
  for (const bool has_moe : moe_block_mask(options.moe_blocks, options.depth)) {
    add_block(tally, options, has_moe);
  }
  if (has_moe(options)) {
    tally.multiply_adds +=
        router_row(options.moe.router).cost(moe_layer_options(options)).shared_multiply_adds;
  }
  tally.parameters += 2 * options.dim;
  if (options.global_pool == GlobalPool::kMap) {
    add_attention_pool(tally, options);
  }
  if (options.pre_logits > 0) {
    tally.linear(1, options.pooled_dim(), options.pre_logits);
    tally.product(options.dist_token ? 1 : 0, options.dim, options.pre_logits);
  }
  ModelCost cost;
  cost.backbone_parameters = tally.parameters;
  if (options.num_classes > 0) {
    tally.linear(1, options.head_inputs(), options.num_classes);
    if (options.dist_token) {
      tally.linear(1, options.head_inputs(), options.num_classes);
    }
  }
  cost.head_parameters = tally.parameters - cost.backbone_parameters;
  cost.gflop = 2.0 * tally.multiply_adds / 1e9;
  return cost;
}

std::map<std::string, double> part_gflops(const VitOptions& options) {
  validate(options);
  std::map<std::string, double> gflops;
  const auto count = [&gflops](const std::string& name, const auto& add) {
    Tally tally;
    add(tally);
    gflops[name] = 2.0 * tally.multiply_adds / 1e9;
  };
  count("embed", [&](Tally& tally) { add_embedding(tally, options); });
  const auto mask = moe_block_mask(options.moe_blocks, options.depth);
  for (size_t index = 0; index < mask.size(); ++index) {
    const auto block = "blocks." + std::to_string(index);
    count(block + "/attn", [&](Tally& tally) { add_attention(tally, options); });
    if (mask[index]) {
      const auto routing = router_row(options.moe.router).cost(moe_layer_options(options));
      count(block + "/moe/experts",
            [&](Tally& tally) { add_experts(tally, options, routing.expert_rows); });
    }
    if (has_mlp(options, mask[index])) {
      count(block + (mask[index] ? "/moe/mlp" : "/mlp"),
            [&](Tally& tally) { add_mlp(tally, options); });
    }
  }
  return gflops;
}

}  // namespace softmoe
