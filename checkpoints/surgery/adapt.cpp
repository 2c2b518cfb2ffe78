#include "checkpoints/surgery/adapt.h"

#include <fmt/format.h>

#include "checkpoints/surgery/patch_resize.h"
#include "core/error.h"
#include "softmoe/routers.h"

namespace softmoe {
namespace {

void check_same_body(const VitOptions& from, const VitOptions& to, const std::string& path) {
  const auto check = [&path](const char* name, int64_t have, int64_t want) {
    if (have != want) {
      throw InputError(path + ": " + name, std::to_string(want), std::to_string(have));
    }
  };
  check("dim", from.dim, to.dim);
  check("depth", from.depth, to.depth);
  check("heads", from.heads, to.heads);
  check("mlp-dim", from.mlp_dim, to.mlp_dim);
  if (from.mlp_layer != to.mlp_layer) {
    throw InputError(path + ": mlp-layer", enum_name(to.mlp_layer), enum_name(from.mlp_layer));
  }
}

/// `weight` [dim, channels, patch, patch] for another number of channels.
torch::Tensor change_channels(const torch::Tensor& weight, int64_t channels) {
  const int64_t present = weight.size(1);
  if (channels == 1) {
    return weight.sum(1, /*keepdim=*/true);  // [dim, 1, patch, patch]
  }
  const int64_t repeats = (channels + present - 1) / present;
  const double share = static_cast<double>(present) / static_cast<double>(channels);
  return weight.repeat({1, repeats, 1, 1}).narrow(1, 0, channels).mul(share);
}

/// The prefix tokens of `from` that `to` has too, by their place in `from`.
torch::Tensor shared_prefix(const VitOptions& from, const VitOptions& to) {
  std::vector<int64_t> kept;
  int64_t next = 0;
  const auto pass = [&](bool present, bool wanted) {
    if (present && wanted) {
      kept.push_back(next);
    }
    next += present ? 1 : 0;
  };
  pass(from.class_token, to.class_token);
  pass(from.dist_token, to.dist_token);
  for (int64_t i = 0; i < from.reg_tokens; ++i) {
    pass(true, i < to.reg_tokens);
  }
  return torch::tensor(kept, torch::kInt64);
}

/// Adds the positions of prefix tokens `entries` [1, prefix, dim] to the tokens.
void fold_prefix_positions(NamedTensors& tensors, const torch::Tensor& entries) {
  int64_t next = 0;
  for (const char* name : {"cls_token", "dist_token", "reg_token"}) {
    const auto found = tensors.find(name);
    if (found != tensors.end()) {
      const int64_t count = found->second.size(1);
      found->second = found->second + entries.narrow(1, next, count);  // [1, count, dim]
      next += count;
    }
  }
}

void adapt_prefix_positions(AdaptedWeights& weights, const VitOptions& from, const VitOptions& to,
                            torch::Tensor& table) {
  const int64_t prefix = from.prefix_positions();
  const auto entries = table.narrow(1, 0, prefix);                       // [1, prefix, dim]
  const auto patches = table.narrow(1, prefix, table.size(1) - prefix);  // [1, patches, dim]
  if (prefix > 0 && !to.pos_embed_prefix) {
    fold_prefix_positions(weights.tensors, entries);
    table = patches;
    weights.changed.emplace_back("pos_embed: entries of prefix tokens added to the tokens");
  } else if (prefix > 0 && from.prefix_tokens() != to.prefix_tokens()) {
    table = torch::cat({entries.index_select(1, shared_prefix(from, to)), patches}, 1);
  } else if (prefix < to.prefix_positions() && from.prefix_tokens() == to.prefix_tokens()) {
    const auto zeros = torch::zeros({1, to.prefix_positions(), table.size(2)}, table.options());
    table = torch::cat({zeros, patches}, 1);
  }
}

void adapt_positions(AdaptedWeights& weights, const VitOptions& from, const VitOptions& to,
                     PositionResize resize) {
  const auto found = weights.tensors.find("pos_embed");
  if (found == weights.tensors.end() || to.pos_embed != PositionEmbedding::kLearned) {
    return;
  }
  auto& table = found->second;  // [1, tokens, dim]
  const Grid old_grid{from.grid_height(), from.grid_width()};
  const Grid new_grid{to.grid_height(), to.grid_width()};
  adapt_prefix_positions(weights, from, to, table);
  if (old_grid != new_grid) {
    const int64_t prefix = table.size(1) - from.patches();
    table = resize_position_embedding(table, prefix, old_grid, new_grid, resize);
    weights.changed.push_back(fmt::format("pos_embed: {}x{} to {}x{} patches, {}", old_grid.height,
                                          old_grid.width, new_grid.height, new_grid.width,
                                          enum_name(resize)));
  }
}

/// Leaves out the prefix tokens that `to` does not have, and the head that reads one of them.
void adapt_prefix_tokens(AdaptedWeights& weights, const VitOptions& from, const VitOptions& to) {
  auto& tensors = weights.tensors;
  for (const auto& [name, present, wanted] :
       {std::tuple{"cls_token", from.class_token, to.class_token},
        std::tuple{"dist_token", from.dist_token, to.dist_token}}) {
    if (present && !wanted) {
      tensors.erase(name);
    }
  }
  if (from.dist_token && !to.dist_token) {
    const bool has_head = tensors.erase("head_dist.weight") + tensors.erase("head_dist.bias") > 0;
    if (has_head) {
      weights.changed.emplace_back("head_dist: left out with its token");
    }
  }
  if (to.reg_tokens == 0) {
    tensors.erase("reg_token");
  } else if (to.reg_tokens < from.reg_tokens && tensors.contains("reg_token")) {
    auto& registers = tensors.at("reg_token");
    registers = registers.narrow(1, 0, to.reg_tokens);  // [1, reg_tokens, dim]
  }
}

/// The old patch that is nearest to each new one, [new patches] int64.
torch::Tensor nearest_patches(Grid from, Grid to) {
  const auto along = [](int64_t old_size, int64_t new_size) {
    // The old cell that holds the centre of the new one, in integers.
    const auto twice_centre = torch::arange(new_size, torch::kInt64) * 2 + 1;
    return (twice_centre * old_size).div(2 * new_size, "floor");  // [new_size]
  };
  const auto rows = along(from.height, to.height) * from.width;        // [new height]
  return (rows.unsqueeze(1) + along(from.width, to.width)).flatten();  // [new patches]
}

/// Routers by position: a patch goes to the expert of the nearest old patch.
void adapt_router_maps(AdaptedWeights& weights, const VitOptions& from, const VitOptions& to) {
  const Grid old_grid{from.grid_height(), from.grid_width()};
  const Grid new_grid{to.grid_height(), to.grid_width()};
  const int64_t prefix = from.prefix_tokens();
  for (auto& [name, map] : weights.tensors) {
    if (!name.ends_with(".router.expert_of_position") || map.numel() != from.tokens()) {
      continue;
    }
    const auto kept = map.index_select(0, shared_prefix(from, to));
    const auto patches = map.narrow(0, prefix, map.size(0) - prefix);  // [old patches]
    map = torch::cat({kept, patches.index_select(0, nearest_patches(old_grid, new_grid))});
    if (old_grid != new_grid) {
      weights.changed.push_back(fmt::format("{}: {}x{} to {}x{} patches, nearest", name,
                                            old_grid.height, old_grid.width, new_grid.height,
                                            new_grid.width));
    }
  }
}

}  // namespace

VitOptions transfer_options(const VitOptions& from) {
  auto options = from;
  if (options.moe.experts > 0 && router_row(options.moe.router).kind == RoutingKind::kSoft) {
    options.moe.slots_per_expert = slots_per_expert(moe_layer_options(from));
  }
  return options;
}

VitOptions with_adapted_parts(VitOptions body, const VitOptions& other) {
  body.img_size = other.img_size;
  body.patch_size = other.patch_size;
  body.in_chans = other.in_chans;
  body.num_classes = other.num_classes;
  body.class_token = other.class_token;
  body.dist_token = other.dist_token;
  body.reg_tokens = other.reg_tokens;
  body.pos_embed_prefix = other.pos_embed_prefix;
  return body;
}

AdaptedWeights adapt_weights(NamedTensors tensors, const VitOptions& from, const VitOptions& to,
                             PositionResize resize, bool keep_head, const std::string& path) {
  check_same_body(from, to, path);
  AdaptedWeights weights{.tensors = std::move(tensors), .changed = {}, .fresh = {}};
  if (!keep_head) {
    for (const std::string name :
         {"head.weight", "head.bias", "head_dist.weight", "head_dist.bias"}) {
      weights.tensors.erase(name);
      if (to.num_classes > 0 && (to.dist_token || !name.starts_with("head_dist."))) {
        weights.fresh.emplace_back(name);
      }
    }
  }
  adapt_positions(weights, from, to, resize);
  adapt_prefix_tokens(weights, from, to);
  adapt_router_maps(weights, from, to);
  const auto patches = weights.tensors.find("patch_embed.proj.weight");
  if (from.patch_size != to.patch_size && patches != weights.tensors.end()) {
    patches->second = resize_patch_embedding(patches->second, to.patch_size, resize);
    weights.changed.push_back(
        fmt::format("patch_embed: patches of {} to {} px", from.patch_size, to.patch_size));
  }
  if (from.in_chans != to.in_chans && patches != weights.tensors.end()) {
    patches->second = change_channels(patches->second, to.in_chans);
    weights.changed.push_back(
        fmt::format("patch_embed: {} to {} channels", from.in_chans, to.in_chans));
  }
  return weights;
}

}  // namespace softmoe
