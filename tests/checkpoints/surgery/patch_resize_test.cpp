#include "checkpoints/surgery/patch_resize.h"

#include <ATen/Functions.h>

#include "support/tensor_matcher.h"

namespace softmoe {
namespace {

torch::Tensor antialiased(const torch::Tensor& images, int64_t edge, PositionResize mode) {
  const std::vector<int64_t> size{edge, edge};
  return mode == PositionResize::kBicubicAntialias
             ? at::_upsample_bicubic2d_aa(images, size, /*align_corners=*/false)
             : at::_upsample_bilinear2d_aa(images, size, /*align_corners=*/false);
}

TEST(PatchResize, KeepsTheTokensOfLargerPatches) {
  torch::manual_seed(3);
  for (const auto mode : {PositionResize::kBicubicAntialias, PositionResize::kBilinearCorners}) {
    const auto weight = torch::randn({5, 3, 4, 4}, torch::kFloat64);
    const auto images = torch::randn({7, 3, 4, 4}, torch::kFloat64);
    const auto larger = resize_patch_embedding(weight, 9, mode);
    ASSERT_EQ(larger.sizes(), (std::vector<int64_t>{5, 3, 9, 9}));
    // A larger patch loses nothing, so that its token does not change.
    const auto before = images.flatten(1).mm(weight.flatten(1).t());  // [7, 5]
    const auto after = antialiased(images, 9, mode).flatten(1).mm(larger.flatten(1).t());
    EXPECT_TRUE(test::all_close(after, before, test::Tolerance{.absolute = 1e-9}));
  }
}

TEST(PatchResize, IsTheLeastSquaresFitForSmallerPatches) {
  torch::manual_seed(4);
  const auto mode = PositionResize::kBicubicAntialias;
  const auto weight = torch::randn({2, 1, 6, 6}, torch::kFloat64);
  const auto smaller = resize_patch_embedding(weight, 3, mode);
  // The residual of the fit is orthogonal to all that resizing can make of a kernel.
  const auto basis = torch::eye(36, torch::kFloat64).view({36, 1, 6, 6});
  const auto resized = antialiased(basis, 3, mode).flatten(1);                   // [36, 9]
  const auto residual = weight.flatten(1) - smaller.flatten(1).mm(resized.t());  // [2, 36]
  EXPECT_LT(residual.mm(resized).abs().max().item<double>(), 1e-9);
  EXPECT_GT(residual.abs().max().item<double>(), 1e-3);
}

TEST(PatchResize, KeepsDtypeAndTheSameSize) {
  const auto weight = torch::randn({2, 3, 4, 4}).to(torch::kBFloat16);
  EXPECT_EQ(resize_patch_embedding(weight, 8, PositionResize::kBicubic).dtype(), torch::kBFloat16);
  EXPECT_TRUE(test::same_bits(resize_patch_embedding(weight, 4, PositionResize::kBicubic), weight));
  EXPECT_THROW(resize_patch_embedding(weight, 0, PositionResize::kBicubic), c10::ValueError);
}

}  // namespace
}  // namespace softmoe
