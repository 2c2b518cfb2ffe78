#pragma once
/// Renaming between this project's parameters and those of other libraries, as data: rows of names
/// and layouts that serve both directions. Only axes are moved and tensors joined or split, so
/// values stay bit for bit, and gradients can be renamed too.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/named_tensors.h"

namespace softmoe {

/// How the axes of a foreign parameter are changed to ours.
enum class AxisLayout {
  kSame,
  kTransposed,  ///< [..., in, out] to [..., out, in]
  kPatches,     ///< [height, width, channels, dim] to [dim, channels, height, width]
  kHeadsOut,    ///< [dim, heads, head_dim] to [heads * head_dim, dim]
  kHeadsIn,     ///< [heads, head_dim, dim] to [dim, heads * head_dim]
  kHeadsBias,   ///< [heads, head_dim] to [heads * head_dim]
  kOneLeading,  ///< [count, dim] to [1, count, dim]
  kTwoLeading,  ///< [dim] to [1, 1, dim]
  kOneValue,    ///< [1] to []
};

/// The part of a tensor's first axis that a row is about: of `of` equal parts, `count` from `first`
/// on.
struct AxisShare {
  int64_t first = 0;
  int64_t count = 1;
  int64_t of = 1;
};

/// One parameter, or one part of a joined one. '*' in both names stands for the number of a block.
struct NameRow {
  std::string_view theirs;
  std::string_view ours;
  AxisLayout layout = AxisLayout::kSame;
  int64_t axes = 1;  ///< of the foreign tensor
  AxisShare their_share = {};
  AxisShare our_share = {};
};

/// Foreign tensors under our names.
struct RenamedTensors {
  NamedTensors tensors;
  std::vector<std::string> unmatched;  ///< names without a row
  int64_t heads = 0;                   ///< attention heads, if a layout tells them; else 0
  bool has_qkv_bias = true;            ///< false: queries, keys and values got zero biases
};

/// Foreign names to ours. Throws InputError that starts with `where` and names tensors with a wrong
/// number of axes, and parts of a joined tensor that are missing or of different shapes.
RenamedTensors to_our_names(const NamedTensors& foreign, std::span<const NameRow> rows,
                            const std::string& where);

/// Our names to foreign ones; `heads` is the number of attention heads. Throws InputError as
/// to_our_names does, and for names without a row.
NamedTensors to_their_names(const NamedTensors& tensors, std::span<const NameRow> rows,
                            int64_t heads, const std::string& where);

/// Returns true if a row is about the foreign tensor `name`.
bool has_row(std::span<const NameRow> rows, const std::string& name);

/// The foreign name of our parameter `name`; empty if no row is about it.
std::string their_name(std::span<const NameRow> rows, const std::string& name);

/// Our name of the foreign parameter `name`; empty if no row is about it.
std::string our_name(std::span<const NameRow> rows, const std::string& name);

}  // namespace softmoe
