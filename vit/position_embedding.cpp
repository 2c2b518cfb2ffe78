#include "vit/position_embedding.h"

#include <ATen/Functions.h>

namespace softmoe {

torch::Tensor resize_position_embedding(const torch::Tensor& table, int64_t prefix, Grid from,
                                        Grid to, PositionResize mode) {
  TORCH_CHECK_VALUE(
      table.dim() == 3 && table.size(0) == 1 && table.size(1) == prefix + from.height * from.width,
      "resize_position_embedding: expected a table [1, ", prefix, " + ", from.height, " * ",
      from.width, ", dim], found ", table.sizes());
  if (from == to) {
    return table;
  }
  const int64_t dim = table.size(2);
  const auto grid = table.narrow(1, prefix, from.height * from.width)
                        .to(torch::kFloat32)
                        .view({1, from.height, from.width, dim})
                        .permute({0, 3, 1, 2});  // [1, dim, height, width]
  const std::vector<int64_t> size{to.height, to.width};
  torch::Tensor resized;  // [1, dim, to.height, to.width]
  switch (mode) {
    case PositionResize::kBicubicAntialias:
      resized = at::_upsample_bicubic2d_aa(grid, size, /*align_corners=*/false);
      break;
    case PositionResize::kBicubic:
      resized = at::upsample_bicubic2d(grid, size, /*align_corners=*/false);
      break;
    case PositionResize::kBilinear:
      resized = at::upsample_bilinear2d(grid, size, /*align_corners=*/false);
      break;
    case PositionResize::kBilinearCorners:
      resized = at::upsample_bilinear2d(grid, size, /*align_corners=*/true);
      break;
  }
  resized = resized.permute({0, 2, 3, 1}).reshape({1, to.height * to.width, dim});
  return torch::cat({table.narrow(1, 0, prefix), resized.to(table.dtype())}, 1);
}

torch::Tensor sincos2d_position_embedding(Grid grid, int64_t dim) {
  TORCH_CHECK_VALUE(dim % 4 == 0,
                    "sincos2d_position_embedding: dim must be a multiple of 4, found ", dim);
  constexpr double kTemperature = 10000.0;
  const auto fp64 = torch::TensorOptions(torch::kFloat64);
  const int64_t quarter = dim / 4;
  const auto exponent =
      torch::arange(quarter, fp64) / static_cast<double>(std::max<int64_t>(1, quarter - 1));
  const auto frequency = torch::pow(kTemperature, -exponent);                        // [dim / 4]
  const auto rows = torch::arange(grid.height, fp64).repeat_interleave(grid.width);  // [patches]
  const auto columns = torch::arange(grid.width, fp64).repeat({grid.height});        // [patches]
  const auto y = rows.unsqueeze(1) * frequency;     // [patches, dim / 4]
  const auto x = columns.unsqueeze(1) * frequency;  // [patches, dim / 4]
  return torch::cat({x.sin(), x.cos(), y.sin(), y.cos()}, 1)
      .to(torch::get_default_dtype());  // [patches, dim]
}

torch::Tensor fixed_positions(const VitOptions& options) {
  const auto patches = sincos2d_position_embedding({options.grid_height(), options.grid_width()},
                                                   options.dim);  // [patches, dim]
  const auto prefix = torch::zeros({options.prefix_positions(), options.dim}, patches.options());
  return torch::cat({prefix, patches}).unsqueeze(0);  // [1, prefix positions + patches, dim]
}

torch::Tensor token_offsets(const VitOptions& options, const torch::Tensor& learned,
                            const std::vector<torch::Tensor>& prefix) {
  const auto positions = (learned.defined() ? learned : fixed_positions(options))
                             .to(torch::kFloat32);  // [1, prefix positions + patches, dim]
  if (prefix.empty()) {
    return positions;
  }
  const int64_t known = options.prefix_positions();
  auto tokens = torch::cat(prefix, 1).to(torch::kFloat32);  // [1, prefix tokens, dim]
  if (known > 0) {
    tokens = tokens + positions.narrow(1, 0, known);
  }
  return torch::cat({tokens, positions.slice(1, known)}, 1);  // [1, tokens, dim]
}

}  // namespace softmoe
