#include "checkpoints/convert/name_map.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "checkpoints/convert/transposed.h"
#include "core/error.h"
#include "core/name_list.h"

namespace softmoe {
namespace {

/// A part of a tensor that is joined of several.
struct Part {
  AxisShare share;
  torch::Tensor tensor;
  std::string source;
};

/// One side of the rows.
using Side = std::string_view NameRow::*;

struct MatchedName {
  const NameRow* row;
  std::string block;  ///< the number of the block as text, empty outside blocks
};

/// Returns true if `name` is `pattern`, in which '*' stands for digits; these go to `block`.
bool matches(std::string_view pattern, std::string_view name, std::string& block) {
  const auto star = pattern.find('*');
  if (star == std::string_view::npos) {
    block.clear();
    return pattern == name;
  }
  const auto tail = pattern.substr(star + 1);
  if (name.size() < pattern.size() || name.substr(0, star) != pattern.substr(0, star) ||
      !name.ends_with(tail)) {
    return false;
  }
  const auto digits = name.substr(star, name.size() - star - tail.size());
  const bool is_number = digits.find_first_not_of("0123456789") == std::string_view::npos &&
                         digits.size() < 7 && (digits.size() == 1 || digits.front() != '0');
  block = digits;
  return is_number;
}

std::vector<MatchedName> rows_of(std::span<const NameRow> rows, Side side,
                                 const std::string& name) {
  std::vector<MatchedName> matched;
  std::string block;
  for (const auto& row : rows) {
    if (matches(row.*side, name, block)) {
      matched.push_back({&row, block});
    }
  }
  return matched;
}

std::string filled_in(std::string_view pattern, const std::string& block) {
  const auto star = pattern.find('*');
  return star == std::string_view::npos
             ? std::string(pattern)
             : fmt::format("{}{}{}", pattern.substr(0, star), block, pattern.substr(star + 1));
}

/// The number of axes of our tensor.
int64_t our_axes(const NameRow& row) {
  switch (row.layout) {
    case AxisLayout::kHeadsOut:
    case AxisLayout::kHeadsIn:
    case AxisLayout::kHeadsBias:
    case AxisLayout::kOneValue:
      return row.axes - 1;
    case AxisLayout::kOneLeading:
      return row.axes + 1;
    case AxisLayout::kTwoLeading:
      return row.axes + 2;
    default:
      return row.axes;
  }
}

torch::Tensor to_our_layout(const torch::Tensor& tensor, AxisLayout layout) {
  switch (layout) {
    case AxisLayout::kSame:
      return tensor;
    case AxisLayout::kTransposed:
      return transposed(tensor);  // [..., out, in]
    case AxisLayout::kPatches:
      return tensor.permute({3, 2, 0, 1}).contiguous();  // [dim, channels, height, width]
    case AxisLayout::kHeadsOut:
      return tensor.flatten(1).t().contiguous();  // [heads * head_dim, dim]
    case AxisLayout::kHeadsIn:
      return tensor.permute({2, 0, 1}).flatten(1).contiguous();  // [dim, heads * head_dim]
    case AxisLayout::kHeadsBias:
      return tensor.flatten();  // [heads * head_dim]
    case AxisLayout::kOneLeading:
      return tensor.unsqueeze(0);  // [1, count, dim]
    case AxisLayout::kTwoLeading:
      return tensor.view({1, 1, -1});  // [1, 1, dim]
    case AxisLayout::kOneValue:
      return tensor.reshape({});  // []
  }
  return tensor;
}

torch::Tensor to_their_layout(const torch::Tensor& tensor, AxisLayout layout, int64_t heads) {
  switch (layout) {
    case AxisLayout::kSame:
      return tensor;
    case AxisLayout::kTransposed:
      return transposed(tensor);  // [..., in, out]
    case AxisLayout::kPatches:
      return tensor.permute({2, 3, 1, 0}).contiguous();  // [height, width, channels, dim]
    case AxisLayout::kHeadsOut:
      return tensor.t().unflatten(1, {heads, -1}).contiguous();  // [dim, heads, head_dim]
    case AxisLayout::kHeadsIn:
      return tensor.unflatten(1, {heads, -1})
          .permute({1, 2, 0})
          .contiguous();  // [heads, head_dim, dim]
    case AxisLayout::kHeadsBias:
      return tensor.unflatten(0, {heads, -1}).contiguous();  // [heads, head_dim]
    case AxisLayout::kOneLeading:
      return tensor.squeeze(0);  // [count, dim]
    case AxisLayout::kTwoLeading:
    case AxisLayout::kOneValue:
      return tensor.view({-1});  // [dim]
  }
  return tensor;
}

void check_axes(const torch::Tensor& tensor, int64_t axes, const std::string& where,
                const std::string& name) {
  if (tensor.dim() != axes) {
    throw InputError(where + ": " + name, fmt::format("{} axes", axes),
                     fmt::format("{}", tensor.dim()));
  }
}

/// The part `share` of `tensor` along its first axis.
torch::Tensor part_of(const torch::Tensor& tensor, const AxisShare& share, const std::string& where,
                      const std::string& name) {
  if (share.of == 1) {
    return tensor;
  }
  if (tensor.size(0) % share.of != 0) {
    throw InputError(where + ": " + name, fmt::format("a multiple of {} rows", share.of),
                     fmt::format("{}", tensor.size(0)));
  }
  const int64_t step = tensor.size(0) / share.of;
  return tensor.narrow(0, share.first * step, share.count * step);
}

/// The tensor of all `parts`. Throws if one is missing or has another shape; source_of_share names
/// the parameter that has the part from a row on.
torch::Tensor joined(std::vector<Part> parts, const std::string& where,
                     const std::function<std::string(int64_t)>& source_of_share) {
  std::sort(parts.begin(), parts.end(),
            [](const auto& a, const auto& b) { return a.share.first < b.share.first; });
  int64_t next = 0;
  std::vector<torch::Tensor> tensors;
  for (const auto& part : parts) {
    if (part.share.first != next) {
      break;
    }
    const auto rows = part.tensor.size(0) * parts.front().share.count;
    if (part.tensor.sizes().slice(1) != parts.front().tensor.sizes().slice(1) ||
        rows != parts.front().tensor.size(0) * part.share.count) {
      throw InputError(where + ": " + part.source, "the shape of " + parts.front().source,
                       fmt::format("[{}]", fmt::join(part.tensor.sizes(), ", ")));
    }
    next += part.share.count;
    tensors.push_back(part.tensor);
  }
  if (next != parts.front().share.of) {
    throw InputError(where, "parameter " + source_of_share(next), "none");
  }
  return torch::cat(tensors);
}

/// The direction in which rows are read.
struct Direction {
  Side from;
  Side to;
  AxisShare NameRow::*from_share;
  AxisShare NameRow::*to_share;
};

/// Renames `tensors`; `convert` gives the new layout of one.
NamedTensors renamed(const NamedTensors& tensors, std::span<const NameRow> rows,
                     const Direction& direction, const std::string& where,
                     const std::function<torch::Tensor(const NameRow&, const torch::Tensor&,
                                                       const std::string&)>& convert,
                     std::vector<std::string>& unmatched) {
  NamedTensors result;
  std::map<std::string, std::vector<Part>> joins;
  for (const auto& [name, tensor] : tensors) {
    const auto matched = rows_of(rows, direction.from, name);
    if (matched.empty()) {
      unmatched.push_back(name);
    }
    for (const auto& [row, block] : matched) {
      const auto source =
          part_of(convert(*row, tensor, name), row->*direction.from_share, where, name);
      const auto target = filled_in(row->*direction.to, block);
      const auto& share = row->*direction.to_share;
      if (share.of == 1) {
        result[target] = source.contiguous();
      } else {
        joins[target].push_back({share, source, name});
      }
    }
  }
  for (auto& [target, parts] : joins) {
    const auto source_of_share = [&, target = target](int64_t first) {
      for (const auto& [row, block] : rows_of(rows, direction.to, target)) {
        if ((row->*direction.to_share).first == first) {
          return filled_in(row->*direction.from, block);
        }
      }
      return target;
    };
    result[target] = joined(std::move(parts), where, source_of_share);
  }
  return result;
}

}  // namespace

RenamedTensors to_our_names(const NamedTensors& foreign, std::span<const NameRow> rows,
                            const std::string& where) {
  RenamedTensors result;
  const auto convert = [&](const NameRow& row, const torch::Tensor& tensor,
                           const std::string& name) {
    check_axes(tensor, row.axes, where, name);
    if (row.layout == AxisLayout::kHeadsBias || row.layout == AxisLayout::kHeadsIn) {
      result.heads = tensor.size(0);
    }
    // Foreign tensors that hold several of ours have our layout.
    return to_our_layout(tensor, row.layout);
  };
  result.tensors = renamed(
      foreign, rows, {&NameRow::theirs, &NameRow::ours, &NameRow::their_share, &NameRow::our_share},
      where, convert, result.unmatched);
  return result;
}

NamedTensors to_their_names(const NamedTensors& tensors, std::span<const NameRow> rows,
                            int64_t heads, const std::string& where) {
  TORCH_CHECK_VALUE(heads > 0, "to_their_names: ", heads, " heads");
  // Our tensors are split before their layout changes, as layouts are those of single tensors.
  const auto convert = [&](const NameRow& row, const torch::Tensor& tensor,
                           const std::string& name) {
    check_axes(tensor, our_axes(row), where, name);
    return tensor;
  };
  std::vector<std::string> unmatched;
  NamedTensors result;
  const Direction direction{&NameRow::ours, &NameRow::theirs, &NameRow::our_share,
                            &NameRow::their_share};
  auto split = renamed(tensors, rows, direction, where, convert, unmatched);
  if (!unmatched.empty()) {
    throw InputError(where + ": no counterpart of " + name_list(unmatched));
  }
  for (auto& [name, tensor] : split) {
    const auto matched = rows_of(rows, &NameRow::theirs, name);
    result[name] = to_their_layout(tensor, matched.front().row->layout, heads);
  }
  return result;
}

bool has_row(std::span<const NameRow> rows, const std::string& name) {
  return !rows_of(rows, &NameRow::theirs, name).empty();
}

std::string their_name(std::span<const NameRow> rows, const std::string& name) {
  const auto matched = rows_of(rows, &NameRow::ours, name);
  return matched.empty() ? "" : filled_in(matched.front().row->theirs, matched.front().block);
}

std::string our_name(std::span<const NameRow> rows, const std::string& name) {
  const auto matched = rows_of(rows, &NameRow::theirs, name);
  return matched.empty() ? "" : filled_in(matched.front().row->ours, matched.front().block);
}

}  // namespace softmoe
