#include "inference/packed/packed_weights.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "kernels/table.h"
#include "ops/compute_precision.h"
#include "ops/tensor_pointers.h"
#include "runtime/arena.h"
#include "runtime/thread_team.h"

namespace softmoe {
namespace {

using kernels::Unit;

/// Returns true if rows of `weight` are units of `precision` as they are.
bool holds_units(const torch::Tensor& weight, Precision precision) {
  return precision != Precision::kInt8 && weight.scalar_type() == tensor_dtype(precision) &&
         weight.size(-1) % kernels::values_per_unit(precision) == 0;
}

/// Returns true if the packed weights fit where `weight` is, and nobody else holds it.
bool packs_in_place(const torch::Tensor& weight, const PackingOptions& options, int64_t columns) {
  return holds_units(weight, options.precision) && columns % kernels::kPanelColumns == 0 &&
         weight.is_contiguous() && weight.use_count() == 1 && weight.storage().use_count() == 1 &&
         weight.storage().resizable();
}

}  // namespace

PackedWeights::PackedWeights(torch::Tensor weight, const torch::Tensor& bias,
                             const PackingOptions& options)
    : precision_(options.precision),
      wide_rows_(options.wide_rows),
      experts_(weight.dim() == 3 ? weight.size(0) : 1),
      columns_(weight.size(-2)),
      depth_(weight.size(-1)),
      chunk_(options.chunk > 0 ? options.chunk : weight.size(-1)),
      panel_units_(kernels::units_of(options.precision, weight.size(-1))) {
  TORCH_CHECK_VALUE(weight.dim() == 2 || weight.dim() == 3, "PackedWeights: weight ",
                    weight.sizes());
  const torch::NoGradGuard no_grad;
  if (bias.defined()) {
    bias_ = bias.detach().to(torch::kFloat32).reshape({experts_, columns_});
    bias_ = options.factors.defined() ? bias_ * options.factors : bias_.clone();
  }
  weight = weight.detach();
  if (weight.scalar_type() != torch::kBFloat16) {
    weight = weight.to(torch::kFloat32);
  }
  weight = weight.contiguous();
  const auto integers = torch::dtype(torch::kInt32);
  const std::vector<int64_t> shape{experts_, kernels::panels_of(columns_), panel_units_,
                                   kernels::kPanelColumns};
  units_ = packs_in_place(weight, options, columns_)
               ? weight.view(-1).view(torch::kInt32).view(shape)
               : at::empty(shape, integers);
  if (precision_ == Precision::kInt8) {
    scales_ = at::empty({experts_, columns_}, torch::kFloat32);
    sums_ = at::empty({experts_, chunks(), columns_}, integers);
  }
  pack(weight, options.factors.defined() ? options.factors.to(torch::kFloat32).contiguous()
                                         : options.factors);
}

void PackedWeights::pack(const torch::Tensor& weight, const torch::Tensor& factors) {
  const auto source = source_of(weight);
  const auto* const by = fp32_or_null(factors);
  auto* const units = static_cast<Unit*>(units_.data_ptr());
  auto* const scales = writable_or_null(scales_);
  auto* const sums = sums_.defined() ? sums_.data_ptr<int32_t>() : nullptr;
  const int64_t panels = kernels::panels_of(columns_);
  const bool copies = by == nullptr && holds_units(weight, precision_);
  const auto* const raw = static_cast<const std::byte*>(weight.const_data_ptr());
  const auto row_bytes = static_cast<size_t>(panel_units_) * sizeof(Unit);
  run_team([&](const ThreadTeam& team) {
    Arena& arena = thread_arena();
    const int64_t room = kernels::kPanelColumns * panel_units_;
    arena.reset(Arena::room<Unit>(room));
    auto* const rows = arena.take<Unit>(room);
    const auto share = team.share(experts_ * panels);
    for (int64_t index = share.first; index < share.last; ++index) {
      const int64_t expert = index / panels;
      const int64_t first = index % panels * kernels::kPanelColumns;
      const int64_t count = std::min(kernels::kPanelColumns, columns_ - first);
      if (copies) {  // since a panel may take the place of its own rows
        const int64_t column = expert * columns_ + first;
        std::memcpy(rows, raw + static_cast<size_t>(column) * row_bytes,
                    static_cast<size_t>(count) * row_bytes);
      }
      for (int64_t row = 0; row < count && !copies; ++row) {
        const int64_t column = first + row;
        const int64_t at = expert * columns_ + column;
        const float factor = by != nullptr ? by[column] : 1.0F;
        Unit* const target = rows + row * panel_units_;
        if (precision_ == Precision::kInt8) {
          scales[at] = kernels::table().encode_row_int8(
              source.offset(at * depth_), depth_, factor, chunk_, target,
              sums + expert * chunks() * columns_ + column, columns_);
        } else {
          kernels::table().encode_row(precision_, source.offset(at * depth_), depth_, factor,
                                      target);
        }
      }
      kernels::table().pack_panel(rows, panel_units_, count, panel_units_,
                                  units + index * panel_units_ * kernels::kPanelColumns);
    }
  });
}

PackedWeights PackedWeights::unfilled(const PackedWeights& source, int64_t count) {
  const bool is_single = source.precision_ == Precision::kFloat32;
  const bool has_integers = source.precision_ == Precision::kInt8;
  PackedWeights result;
  result.precision_ = is_single ? Precision::kFloat32 : Precision::kBFloat16;
  result.experts_ = count;
  result.columns_ = source.columns_;
  result.depth_ = source.depth_;
  result.chunk_ = source.chunk_;
  result.panel_units_ = has_integers ? 2 * source.panel_units_ : source.panel_units_;
  result.units_ = at::empty(
      {count, kernels::panels_of(result.columns_), result.panel_units_, kernels::kPanelColumns},
      torch::kInt32);
  if (source.bias_.defined()) {
    result.bias_ = at::empty({count, result.columns_}, torch::kFloat32);
  }
  return result;
}

void PackedWeights::merge_panel(const PackedWeights& source, const float* weights, int64_t index,
                                int64_t panel, float* factors) {
  const int64_t first = panel * kernels::kPanelColumns;
  const int64_t count = std::min(kernels::kPanelColumns, columns_ - first);
  for (int64_t expert = 0; expert < source.experts_; ++expert) {
    float* const factor = factors + expert * kernels::kPanelColumns;
    std::fill_n(factor, kernels::kPanelColumns, weights[expert]);
    if (const float* const scale = source.scales(expert, first); scale != nullptr) {
      std::transform(scale, scale + count, factor,
                     [by = weights[expert]](float value) { return value * by; });
    }
  }
  const int64_t panels = kernels::panels_of(columns_);
  kernels::table().merge_panels({.precision = source.precision_,
                                 .panels = source.panels(0, first, 0).data,
                                 .stride = panels * source.panel_units_ * kernels::kPanelColumns,
                                 .count = source.experts_,
                                 .units = source.panel_units_,
                                 .factors = factors},
                                static_cast<Unit*>(units_.data_ptr()) + (index * panels + panel) *
                                                                            panel_units_ *
                                                                            kernels::kPanelColumns);
  if (bias_.defined()) {
    float* const bias = bias_.data_ptr<float>() + index * columns_ + first;
    std::fill_n(bias, count, 0.0F);
    for (int64_t expert = 0; expert < source.experts_; ++expert) {
      std::transform(bias, bias + count, source.bias(expert, first), bias,
                     [by = weights[expert]](float sum, float value) { return sum + by * value; });
    }
  }
}

kernels::RightPanels PackedWeights::panels(int64_t expert, int64_t column, int64_t chunk) const {
  const int64_t stride = panel_units_ * kernels::kPanelColumns;
  const int64_t first =
      chunk * chunk_ / kernels::values_per_unit(precision_) * kernels::kPanelColumns;
  const int64_t panel = expert * kernels::panels_of(columns_) + column / kernels::kPanelColumns;
  return {static_cast<const Unit*>(units_.const_data_ptr()) + panel * stride + first, stride};
}

const float* PackedWeights::bias(int64_t expert, int64_t column) const {
  return bias_.defined() ? bias_.const_data_ptr<float>() + expert * columns_ + column : nullptr;
}

const float* PackedWeights::scales(int64_t expert, int64_t column) const {
  return scales_.defined() ? scales_.const_data_ptr<float>() + expert * columns_ + column : nullptr;
}

const int32_t* PackedWeights::sums(int64_t expert, int64_t column, int64_t chunk) const {
  return sums_.defined()
             ? sums_.const_data_ptr<int32_t>() + (expert * chunks() + chunk) * columns_ + column
             : nullptr;
}

}  // namespace softmoe
