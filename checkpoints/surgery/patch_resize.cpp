#include "checkpoints/surgery/patch_resize.h"

#include <ATen/Functions.h>

namespace softmoe {
namespace {

/// Resizing a patch of `from` px to `to` px as a matrix, [to * to, from * from].
torch::Tensor resize_matrix(int64_t from, int64_t to, PositionResize mode) {
  const std::vector<int64_t> size{to, to};
  const auto basis = torch::eye(from * from, torch::kFloat64).view({from * from, 1, from, from});
  const bool is_bicubic =
      mode == PositionResize::kBicubic || mode == PositionResize::kBicubicAntialias;
  const auto resized = is_bicubic
                           ? at::_upsample_bicubic2d_aa(basis, size, /*align_corners=*/false)
                           : at::_upsample_bilinear2d_aa(basis, size, /*align_corners=*/false);
  return resized.view({from * from, to * to}).t();  // [to * to, from * from]
}

}  // namespace

torch::Tensor resize_patch_embedding(const torch::Tensor& weight, int64_t edge,
                                     PositionResize mode) {
  TORCH_CHECK_VALUE(weight.dim() == 4 && weight.size(2) == weight.size(3) && edge > 0,
                    "resize_patch_embedding: expected [dim, channels, patch, patch] and an edge "
                    "above 0, found ",
                    weight.sizes(), " and ", edge);
  if (weight.size(2) == edge) {
    return weight;
  }
  const auto inverse =
      at::linalg_pinv(resize_matrix(weight.size(2), edge, mode));  // [from * from, edge * edge]
  const auto pixels = weight.to(torch::kFloat64).flatten(2);       // [dim, channels, from * from]
  return pixels.matmul(inverse)
      .view({weight.size(0), weight.size(1), edge, edge})
      .to(weight.dtype());  // [dim, channels, edge, edge]
}

}  // namespace softmoe
