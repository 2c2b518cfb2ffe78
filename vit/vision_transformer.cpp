#include "vit/vision_transformer.h"

#include "core/tensor_check.h"
#include "ops/batch_rows.h"
#include "ops/initialization.h"
#include "runtime/profiler.h"

namespace softmoe {
namespace {

/// Tokens of a sample that routers learn from.
constexpr int64_t kMaxSampleTokens = 32'768;

}  // namespace

VisionTransformerImpl::VisionTransformerImpl(VitOptions options) : options_(std::move(options)) {
  validate(options_);
  VisionTransformerImpl::reset();
}

void VisionTransformerImpl::register_embedding() {
  const int64_t dim = options_.dim;
  patch_embed_ = register_module("patch_embed", PatchEmbed(options_));
  const auto register_tokens = [&](const char* name, int64_t count) {
    auto tokens = register_parameter(name, torch::empty({1, count, dim}));
    init_constant(tokens, 0.0);
    return tokens;
  };
  if (options_.class_token) {
    class_token_ = register_tokens("cls_token", 1);
  }
  if (options_.dist_token) {
    dist_token_ = register_tokens("dist_token", 1);
  }
  if (options_.reg_tokens > 0) {
    reg_token_ = register_tokens("reg_token", options_.reg_tokens);
    // Equal registers would stay equal.
    init_normal(reg_token_, 0.02);
  }
  if (options_.pos_embed == PositionEmbedding::kLearned) {
    const int64_t positions = options_.prefix_positions() + options_.patches();
    pos_embed_ = register_parameter("pos_embed", torch::empty({1, positions, dim}));
    init_normal(pos_embed_, 1.0 / std::sqrt(static_cast<double>(dim)));
  } else {
    // Computed from the options alone, so it is no part of a checkpoint.
    pos_embed_ = fixed_positions(options_);  // [1, positions, dim]
  }
  if (options_.pre_norm) {
    norm_pre_ = register_module("norm_pre", LayerNorm(dim, options_.norm_eps));
  }
}

void VisionTransformerImpl::register_heads() {
  const auto register_head = [&](const char* name) {
    auto head = register_module(name, Linear(options_.head_inputs(), options_.num_classes));
    init_constant(head->weight, 0.0);
    init_constant(head->bias, options_.head_bias);
    return head;
  };
  head_ = register_head("head");
  if (options_.dist_token) {
    head_dist_ = register_head("head_dist");
  }
}

void VisionTransformerImpl::reset() {
  const int64_t dim = options_.dim;
  register_embedding();
  blocks_ = register_module("blocks", make_blocks(options_));
  auto norm = LayerNorm(dim, options_.norm_eps);
  if (options_.final_norm == FinalNorm::kTokens) {
    norm_ = register_module("norm", norm);
  } else {
    fc_norm_ = register_module("fc_norm", norm);
  }
  if (options_.global_pool == GlobalPool::kMap) {
    attn_pool_ = register_module("attn_pool", AttentionPool(options_));
  }
  if (options_.pre_logits > 0) {
    pre_logits_ = register_module("pre_logits", Linear(options_.pooled_dim(), options_.pre_logits));
  }
  if (options_.num_classes > 0) {
    register_heads();
  }
}

torch::Tensor VisionTransformerImpl::prefix() const {
  std::vector<torch::Tensor> parts;
  for (const auto& part : {class_token_, dist_token_, reg_token_}) {
    if (part.defined()) {
      parts.push_back(part);
    }
  }
  return parts.size() == 1 ? parts.front() : torch::cat(parts, 1);  // [1, prefix_tokens, dim]
}

torch::Tensor VisionTransformerImpl::positions_of(Grid grid) const {
  const Grid own{options_.grid_height(), options_.grid_width()};
  if (grid == own) {
    return pos_embed_;  // [1, positions, dim]
  }
  if (options_.pos_embed == PositionEmbedding::kLearned) {
    return resize_position_embedding(pos_embed_, options_.prefix_positions(), own, grid,
                                     PositionResize::kBicubicAntialias);  // [1, positions, dim]
  }
  auto other = options_;
  other.img_size = {grid.height * options_.patch_size, grid.width * options_.patch_size};
  return fixed_positions(other);  // [1, positions, dim]
}

torch::Tensor VisionTransformerImpl::embed(const torch::Tensor& patches, Grid grid) {
  const ProfilePart part("embed");
  auto tokens = patch_embed_(patches);  // [batch, patches, dim]
  // A fixed embedding follows the device and dtype of the weights, as a learned one does.
  const auto positions =
      positions_of(grid).to(patch_embed_->proj->weight.options());  // [1, positions, dim]
  if (options_.prefix_tokens() == 0) {
    tokens = tokens + positions;  // [batch, tokens, dim]
  } else {
    const auto first = prefix().expand({patches.size(0), -1, -1});
    if (options_.pos_embed_prefix) {
      tokens = torch::cat({first.to(tokens.dtype()), tokens}, 1) + positions;
    } else {
      const auto placed = tokens + positions;  // [batch, patches, dim]
      tokens = torch::cat({first.to(placed.dtype()), placed}, 1);
    }
  }
  if (options_.drop > 0) {
    tokens = dropout_rows(tokens, options_.drop, is_training());
  }
  return norm_pre_ ? norm_pre_(tokens) : tokens;  // [batch, tokens, dim]
}

void VisionTransformerImpl::check_images(const torch::Tensor& images) const {
  if (!any_image_size_) {
    check_shape("VisionTransformer: images", images,
                {-1, options_.in_chans, options_.image_height(), options_.image_width()});
    return;
  }
  check_shape("VisionTransformer: images", images, {-1, options_.in_chans, -1, -1});
  const int64_t patch = options_.patch_size;
  TORCH_CHECK_VALUE(images.size(2) % patch == 0 && images.size(3) % patch == 0,
                    "VisionTransformer: expected images of multiples of ", patch, " px, found ",
                    images.sizes());
}

torch::Tensor VisionTransformerImpl::first_tokens(const torch::Tensor& images,
                                                  const torch::Tensor& patches) {
  const Grid grid{images.size(2) / options_.patch_size, images.size(3) / options_.patch_size};
  return embed(patches, grid);  // [batch, tokens, dim]
}

torch::Tensor VisionTransformerImpl::run_images(const torch::Tensor& images,
                                                RoutingRecords* records,
                                                const TokenVisitor& visit) {
  check_images(images);
  const TokenContext context{.patches = image_patches(images, options_), .sequences = {}};
  return run_blocks(first_tokens(images, context.patches), context, records, visit);
}

torch::Tensor VisionTransformerImpl::run_blocks(torch::Tensor tokens, const TokenContext& context,
                                                RoutingRecords* records,
                                                const TokenVisitor& visit) {
  for (int64_t index = 0; index < options_.depth; ++index) {
    if (visit) {
      visit(tokens);
    }
    const ProfilePart part([index] { return "blocks." + std::to_string(index); });
    auto& block = block_of(blocks_, index);
    const bool keep = records != nullptr && block.has_moe();
    tokens =
        run_block(block, tokens, context, keep ? &(*records)[index] : nullptr, grad_checkpointing_);
  }
  if (visit) {
    visit(tokens);
  }
  return tokens;  // [batch, tokens, dim]
}

torch::Tensor VisionTransformerImpl::forward_tokens(const torch::Tensor& images,
                                                    RoutingRecords* records,
                                                    const TokenVisitor& visit) {
  const auto tokens = run_images(images, records, visit);
  return norm_ ? norm_(tokens) : tokens;  // [batch, tokens, dim]
}

std::vector<torch::Tensor> VisionTransformerImpl::forward_intermediates(
    const torch::Tensor& images) {
  std::vector<torch::Tensor> tokens;
  run_images(images, /*records=*/nullptr,
             [&tokens](const torch::Tensor& behind) { tokens.push_back(behind); });
  return tokens;
}

torch::Tensor VisionTransformerImpl::pool(const torch::Tensor& tokens) {
  // [batch, pooled tokens, dim]
  const auto pooled_tokens = [&] { return tokens.slice(1, options_.first_pooled_token()); };
  switch (options_.global_pool) {
    case GlobalPool::kToken:
      return options_.dist_token ? tokens.narrow(1, 0, 2)  // [batch, 2, dim]
                                 : tokens.select(1, 0);    // [batch, dim]
    case GlobalPool::kMap:
      return attn_pool_(pooled_tokens());  // [batch, dim]
    case GlobalPool::kTokenAvg:
      return torch::cat({tokens.select(1, 0), pooled_tokens().mean(1)}, 1);  // [batch, 2 dim]
    default:
      return pooled_tokens().mean(1);  // [batch, dim]
  }
}

torch::Tensor VisionTransformerImpl::forward_features(const torch::Tensor& images,
                                                      RoutingRecords* records,
                                                      const TokenVisitor& visit) {
  return pooled_features(forward_tokens(images, records, visit));  // [batch, feature_dim]
}

torch::Tensor VisionTransformerImpl::pooled_features(const torch::Tensor& tokens) {
  // [batch, pooled_dim], or [batch, 2, dim] with a distillation token
  auto features = pool(tokens);
  if (fc_norm_) {
    features = fc_norm_(features);
  }
  if (pre_logits_) {
    features = pre_logits_(features).tanh();
  }
  return features.flatten(1);  // [batch, feature_dim]
}

JoinedFeatures VisionTransformerImpl::forward_joined(const torch::Tensor& images,
                                                     const AppendedTexts& texts,
                                                     RoutingRecords* records) {
  check_images(images);
  const auto own = first_tokens(images, image_patches(images, options_));  // [batch, tokens, dim]
  const TokenContext context{.patches = {},
                             .sequences = joined_sequences(own.size(1), texts.texts)};
  auto tokens = run_blocks(joined_tokens(own, texts), context, records, /*visit=*/{});
  tokens = norm_ ? norm_(tokens) : tokens;  // [1, joined tokens, dim]
  auto parts = split_joined(tokens, own.size(1), texts.texts);
  return {.features = pooled_features(parts.images),  // [batch, feature_dim]
          .texts = std::move(parts.texts)};
}

torch::Tensor VisionTransformerImpl::forward_head(const torch::Tensor& features) {
  if (!head_) {
    return features;
  }
  const auto logits = head_logits(features);
  return head_dist_ ? (logits[0] + logits[1]) / 2 : logits[0];  // [batch, num_classes]
}

std::vector<torch::Tensor> VisionTransformerImpl::head_logits(const torch::Tensor& features) {
  TORCH_CHECK_VALUE(head_, "VisionTransformer: head_logits of a model without a head");
  if (!head_dist_) {
    return {head_(features)};
  }
  const auto parts = features.chunk(2, 1);
  return {head_(parts[0]), head_dist_(parts[1])};
}

torch::Tensor VisionTransformerImpl::forward(const torch::Tensor& images, RoutingRecords* records) {
  const auto tokens = forward_tokens(images, records);  // [batch, tokens, dim]
  const ProfilePart part("head");
  return forward_head(pooled_features(tokens));  // [batch, num_classes]
}

RoutingRecords VisionTransformerImpl::routing_records(const RoutingWants& wants) const {
  return records_of(blocks_, wants);
}

bool VisionTransformerImpl::some_router_wants(RouterSample sample) const {
  return std::any_of(blocks_->begin(), blocks_->end(), [sample](const auto& module) {
    auto* block = module->template as<BlockImpl>();
    return block->has_moe() && block->moe->router().wanted_sample() == sample;
  });
}

bool VisionTransformerImpl::wants_router_sample() const {
  return some_router_wants(RouterSample::kPatches) || some_router_wants(RouterSample::kTokens);
}

void VisionTransformerImpl::fit_routers(const torch::Tensor& images) {
  const torch::NoGradGuard no_grad;
  const bool some_want_tokens = some_router_wants(RouterSample::kTokens);
  const auto patches = image_patches(images, options_).flatten(0, 1);  // [count, pixels]
  const Router* twin = nullptr;
  for (const auto& module : *blocks_) {
    if (auto* block = module->as<BlockImpl>(); block->has_moe() && !some_want_tokens) {
      block->moe->router().fit(patches, twin);
      twin = &block->moe->router();
    }
  }
  if (!some_want_tokens) {
    return;
  }
  const int64_t count =
      std::clamp<int64_t>(kMaxSampleTokens / options_.tokens(), 1, images.size(0));
  visit_branch_inputs(images.narrow(0, 0, count), [&](int64_t index, const torch::Tensor& inputs) {
    auto& block = *blocks_->ptr<BlockImpl>(static_cast<size_t>(index));
    if (block.has_moe() && block.moe->router().wanted_sample() == RouterSample::kTokens) {
      block.moe->router().fit(inputs.flatten(0, 1), /*twin=*/nullptr);
    }
  });
}

void VisionTransformerImpl::visit_branch_inputs(
    const torch::Tensor& images,
    const std::function<void(int64_t block, const torch::Tensor& inputs)>& visit) {
  const torch::NoGradGuard no_grad;
  const bool was_training = is_training();
  eval();
  int64_t index = 0;
  // The visitor comes before a block, so that the block runs with what was learned here.
  forward_tokens(images, /*records=*/nullptr, [&](const torch::Tensor& tokens) {
    if (index < options_.depth) {
      visit(index, blocks_->ptr<BlockImpl>(static_cast<size_t>(index))->branch_inputs(tokens));
      ++index;
    }
  });
  train(was_training);
}

}  // namespace softmoe
