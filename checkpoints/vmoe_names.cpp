#include "checkpoints/vmoe_names.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <array>
#include <optional>
#include <string_view>

#include "core/error.h"

namespace softmoe {
namespace {

/// How the axes of a Flax parameter become ours.
enum class Layout {
  kSame,
  kTransposed,   ///< [..., in, out] to [..., out, in]
  kPatches,      ///< [height, width, channels, dim] to [dim, channels, height, width]
  kJoinedHeads,  ///< [heads, head_dim, dim] to [dim, heads * head_dim]
};

struct NameRow {
  std::string_view flax;
  std::string_view ours;
  Layout layout = Layout::kSame;
  int64_t axes = 1;  ///< of both, but for kJoinedHeads
};

constexpr std::array kModelNames = {
    NameRow{"embedding/kernel", "patch_embed.proj.weight", Layout::kPatches, 4},
    NameRow{"embedding/bias", "patch_embed.proj.bias"},
    NameRow{"cls", "cls_token", Layout::kSame, 3},
    NameRow{"Encoder/posembed_input/pos_embedding", "pos_embed", Layout::kSame, 3},
    NameRow{"Encoder/encoder_norm/scale", "norm.weight"},
    NameRow{"Encoder/encoder_norm/bias", "norm.bias"},
    NameRow{"pre_logits/kernel", "pre_logits.weight", Layout::kTransposed, 2},
    NameRow{"pre_logits/bias", "pre_logits.bias"},
    NameRow{"head/kernel", "head.weight", Layout::kTransposed, 2},
    NameRow{"head/bias", "head.bias"},
};

constexpr std::array kBlockNames = {
    NameRow{"LayerNorm_0/scale", "norm1.weight"},
    NameRow{"LayerNorm_0/bias", "norm1.bias"},
    NameRow{"LayerNorm_1/scale", "norm2.weight"},
    NameRow{"LayerNorm_1/bias", "norm2.bias"},
    NameRow{"SelfAttention/query_ln/scale", "attn.q_norm.weight"},
    NameRow{"SelfAttention/key_ln/scale", "attn.k_norm.weight"},
    NameRow{"SelfAttention/out/kernel", "attn.proj.weight", Layout::kJoinedHeads, 3},
    NameRow{"SelfAttention/out/bias", "attn.proj.bias"},
    NameRow{"Mlp/Dense_0/kernel", "mlp.fc1.weight", Layout::kTransposed, 2},
    NameRow{"Mlp/Dense_0/bias", "mlp.fc1.bias"},
    NameRow{"Mlp/Dense_1/kernel", "mlp.fc2.weight", Layout::kTransposed, 2},
    NameRow{"Mlp/Dense_1/bias", "mlp.fc2.bias"},
    NameRow{"Moe/Router/mu", "moe.router.phi", Layout::kSame, 3},
    NameRow{"Moe/Router/scale", "moe.router.scale", Layout::kSame, 0},
    NameRow{"Moe/Mlp/Dense_0/kernel", "moe.experts.fc1_weight", Layout::kTransposed, 3},
    NameRow{"Moe/Mlp/Dense_0/bias", "moe.experts.fc1_bias", Layout::kSame, 2},
    NameRow{"Moe/Mlp/Dense_1/kernel", "moe.experts.fc2_weight", Layout::kTransposed, 3},
    NameRow{"Moe/Mlp/Dense_1/bias", "moe.experts.fc2_bias", Layout::kSame, 2},
};

constexpr std::string_view kFlaxBlock = "Encoder/encoderblock_";
constexpr std::string_view kOurBlock = "blocks.";
constexpr std::array<std::string_view, 3> kProjections = {"query", "key", "value"};

/// A name within a block, and the block's number.
struct BlockName {
  std::string index;
  std::string_view rest;
};

std::optional<BlockName> split_block_name(std::string_view name, std::string_view block,
                                          char separator) {
  const auto end = name.find(separator, block.size());
  if (!name.starts_with(block) || end == std::string_view::npos) {
    return std::nullopt;
  }
  return BlockName{std::string(name.substr(block.size(), end - block.size())),
                   name.substr(end + 1)};
}

template <size_t kRows>
const NameRow* find_name(const std::array<NameRow, kRows>& rows, std::string_view NameRow::*side,
                         std::string_view name) {
  const auto* const row =
      std::find_if(rows.begin(), rows.end(), [&](const NameRow& r) { return r.*side == name; });
  return row == rows.end() ? nullptr : row;
}

void check_axes(const torch::Tensor& tensor, int64_t axes, const std::string& where,
                std::string_view name) {
  if (tensor.dim() != axes) {
    throw InputError(where + ": " + std::string(name), fmt::format("{} axes", axes),
                     fmt::format("{}", tensor.dim()));
  }
}

torch::Tensor to_our_layout(const torch::Tensor& tensor, Layout layout) {
  switch (layout) {
    case Layout::kSame:
      return tensor;
    case Layout::kTransposed:
      return tensor.transpose(-1, -2).contiguous();  // [..., out, in]
    case Layout::kPatches:
      return tensor.permute({3, 2, 0, 1}).contiguous();  // [dim, channels, height, width]
    case Layout::kJoinedHeads:
      return tensor.permute({2, 0, 1}).flatten(1).contiguous();  // [dim, heads * head_dim]
  }
  return tensor;
}

torch::Tensor to_flax_layout(const torch::Tensor& tensor, Layout layout, int64_t heads) {
  switch (layout) {
    case Layout::kSame:
      return tensor;
    case Layout::kTransposed:
      return tensor.transpose(-1, -2).contiguous();  // [..., in, out]
    case Layout::kPatches:
      return tensor.permute({2, 3, 1, 0}).contiguous();  // [height, width, channels, dim]
    case Layout::kJoinedHeads:
      return tensor.unflatten(1, {heads, -1})
          .permute({1, 2, 0})
          .contiguous();  // [heads, head_dim, dim]
  }
  return tensor;
}

/// "kernel" or "bias" where a name within a block belongs to the query, key or value projection.
std::string projection_leaf(std::string_view name) {
  for (const auto projection : kProjections) {
    for (const char* leaf : {"kernel", "bias"}) {
      if (name == fmt::format("SelfAttention/{}/{}", projection, leaf)) {
        return leaf;
      }
    }
  }
  return "";
}

/// Joins the projections of attention in block `block` ("Encoder/encoderblock_3/").
torch::Tensor join_projections(const NamedTensors& flax, const std::string& block,
                               const std::string& leaf, const std::string& where) {
  std::vector<torch::Tensor> parts;
  for (const auto projection : kProjections) {
    const auto name = fmt::format("{}SelfAttention/{}/{}", block, projection, leaf);
    const auto found = flax.find(name);
    if (found == flax.end()) {
      throw InputError(where, "parameter " + name, "none");
    }
    const auto& part = found->second;
    check_axes(part, leaf == "kernel" ? 3 : 2, where, name);
    parts.push_back(leaf == "kernel" ? part.flatten(1).t()  // [heads * head_dim, dim]
                                     : part.flatten());     // [heads * head_dim]
    if (parts.back().sizes() != parts.front().sizes()) {
      throw InputError(where + ": " + name, "the shape of the query's", "another");
    }
  }
  return torch::cat(parts);  // [3 * dim, dim] or [3 * dim]
}

/// The parameters under the prefix, without it.
NamedTensors strip_prefix(const NamedTensors& flax, const std::string& where) {
  constexpr std::array<std::string_view, 5> kPrefixes = {"params/", "params/img/", "opt/target/",
                                                         "target/", ""};
  for (const auto candidate : kPrefixes) {
    const std::string prefix(candidate);
    if (!flax.contains(prefix + std::string(kModelNames.front().flax))) {
      continue;
    }
    NamedTensors stripped;
    for (const auto& [name, tensor] : flax) {
      if (name.starts_with(prefix)) {
        stripped[name.substr(prefix.size())] = tensor;
      }
    }
    return stripped;
  }
  throw InputError(where, "parameters of vmoe, one of them embedding/kernel",
                   flax.empty() ? "nothing" : flax.begin()->first + " and so on");
}

[[noreturn]] void throw_unknown(const std::vector<std::string>& names, const std::string& where) {
  constexpr size_t kShown = 8;
  std::string text;
  for (size_t i = 0; i < std::min(kShown, names.size()); ++i) {
    text += (i == 0 ? "" : ", ") + names[i];
  }
  throw InputError(
      where + ": no counterpart of " + text +
      (names.size() > kShown ? fmt::format(" and {} more", names.size() - kShown) : ""));
}

}  // namespace

NamedTensors from_vmoe(const NamedTensors& flax, const std::string& where) {
  const NamedTensors parameters = strip_prefix(flax, where);
  NamedTensors ours;
  std::vector<std::string> unknown;
  for (const auto& [name, tensor] : parameters) {
    const auto block = split_block_name(name, kFlaxBlock, '/');
    const NameRow* row = block ? find_name(kBlockNames, &NameRow::flax, block->rest)
                               : find_name(kModelNames, &NameRow::flax, name);
    const std::string scope = block ? fmt::format("{}{}.", kOurBlock, block->index) : "";
    if (row != nullptr) {
      check_axes(tensor, row->axes, where, name);
      ours[scope + std::string(row->ours)] = to_our_layout(tensor, row->layout);
      continue;
    }
    const std::string leaf = block ? projection_leaf(block->rest) : "";
    if (leaf.empty()) {
      unknown.push_back(name);
      continue;
    }
    auto& joined = ours[scope + (leaf == "kernel" ? "attn.qkv.weight" : "attn.qkv.bias")];
    if (!joined.defined()) {
      const auto flax_scope = fmt::format("{}{}/", kFlaxBlock, block->index);
      joined = join_projections(parameters, flax_scope, leaf, where);
    }
  }
  if (!unknown.empty()) {
    throw_unknown(unknown, where);
  }
  return ours;
}

NamedTensors to_vmoe(const NamedTensors& tensors, int64_t heads, const std::string& where) {
  TORCH_CHECK_VALUE(heads > 0, "to_vmoe: ", heads, " heads");
  NamedTensors flax;
  std::vector<std::string> unknown;
  for (const auto& [name, tensor] : tensors) {
    const auto block = split_block_name(name, kOurBlock, '.');
    const NameRow* row = block ? find_name(kBlockNames, &NameRow::ours, block->rest)
                               : find_name(kModelNames, &NameRow::ours, name);
    const std::string scope = block ? fmt::format("{}{}/", kFlaxBlock, block->index) : "";
    if (row != nullptr) {
      check_axes(tensor, row->layout == Layout::kJoinedHeads ? 2 : row->axes, where, name);
      flax[scope + std::string(row->flax)] = to_flax_layout(tensor, row->layout, heads);
    } else if (block && (block->rest == "attn.qkv.weight" || block->rest == "attn.qkv.bias")) {
      const bool is_kernel = block->rest == "attn.qkv.weight";
      check_axes(tensor, is_kernel ? 2 : 1, where, name);
      const auto parts = tensor.chunk(3);
      for (size_t i = 0; i < parts.size(); ++i) {
        const auto part = is_kernel ? parts[i].t() : parts[i];  // [dim, heads * head_dim] or less
        flax[fmt::format("{}SelfAttention/{}/{}", scope, kProjections[i],
                         is_kernel ? "kernel" : "bias")] =
            part.unflatten(-1, {heads, -1}).contiguous();  // [dim, heads, head_dim] or less
      }
    } else {
      unknown.push_back(name);
    }
  }
  if (!unknown.empty()) {
    throw_unknown(unknown, where);
  }
  return flax;
}

}  // namespace softmoe
