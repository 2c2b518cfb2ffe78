#pragma once
/// Position embeddings: fixed ones, and learned ones carried to another grid of patches.

#include <torch/types.h>

#include "core/options.h"

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
/// `prefix` entries (class token) are kept. Throws c10::ValueError where the sizes do not agree.
torch::Tensor resize_position_embedding(const torch::Tensor& table, int64_t prefix, Grid from,
                                        Grid to, PositionResize mode);

/// Fixed sines and cosines of the coordinates, [height * width, dim]; `dim` must be a multiple
/// of 4. Source: Beyer et al., arXiv:2205.01580, as in big_vision (temperature 10,000).
torch::Tensor sincos2d_position_embedding(Grid grid, int64_t dim);

}  // namespace softmoe
