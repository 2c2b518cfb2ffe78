#pragma once
/// Tables of positions: fixed ones, learned ones carried to another grid of patches, and what they
/// and the prefix tokens add to the tokens of a model.

#include <torch/types.h>

#include "vit/options.h"

namespace softmoe {

/// How a table of positions is interpolated to another grid.
enum class PositionResize {
  kBicubicAntialias,  ///< timm's torch checkpoints
  kBicubic,           ///< Hugging Face
  kBilinear,          ///< timm's loader of npz files
  kBilinearCorners,   ///< Google's corner-aligned linear zoom
};
template <>
inline constexpr std::array<EnumName<PositionResize>, 4> kEnumNames<PositionResize>{
    {{PositionResize::kBicubicAntialias, "bicubic_antialias"},
     {PositionResize::kBicubic, "bicubic"},
     {PositionResize::kBilinear, "bilinear"},
     {PositionResize::kBilinearCorners, "bilinear_corners"}}};

/// A grid of patches.
struct Grid {
  int64_t height = 0;
  int64_t width = 0;

  bool operator==(const Grid&) const = default;
};

/// `table` [1, prefix + from.height * from.width, dim] for the grid `to`, in fp32; the first
/// `prefix` entries (class token) are kept. Throws c10::ValueError if the sizes do not agree.
torch::Tensor resize_position_embedding(const torch::Tensor& table, int64_t prefix, Grid from,
                                        Grid to, PositionResize mode);

/// Fixed sines and cosines of the coordinates, [height * width, dim]; `dim` must be a multiple
/// of 4. Source: Beyer et al., arXiv:2205.01580, as in big_vision (temperature 10,000).
torch::Tensor sincos2d_position_embedding(Grid grid, int64_t dim);

/// The table of a model with fixed positions, [1, prefix positions + patches, dim]: zeros for
/// prefix tokens, sines and cosines for patches.
torch::Tensor fixed_positions(const VitOptions& options);

/// What a model adds to the projected patches of every image, behind zeros for the prefix tokens:
/// positions, and the prefix tokens themselves; [1, tokens, dim] fp32. `learned` is its table of
/// positions, undefined if they are fixed, and `prefix` its class, distillation and register
/// tokens, [1, count, dim] each, as far as it has them.
torch::Tensor token_offsets(const VitOptions& options, const torch::Tensor& learned,
                            const std::vector<torch::Tensor>& prefix);

}  // namespace softmoe
