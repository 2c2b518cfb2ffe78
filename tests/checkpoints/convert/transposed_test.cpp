#include "checkpoints/convert/transposed.h"

#include <gtest/gtest.h>

namespace softmoe {
namespace {

TEST(Transposed, IsTheTransposeOfEachMatrixInRowMajorOrder) {
  for (const auto dtype : {torch::kFloat32, torch::kBFloat16, torch::kFloat64}) {
    for (const std::vector<int64_t>& shape :
         {std::vector<int64_t>{67, 93}, {5, 67, 93}, {1, 3, 2}, {3, 0, 2}}) {
      const auto matrices = torch::randn(shape).to(dtype);
      const auto result = transposed(matrices);
      EXPECT_TRUE(result.is_contiguous());
      EXPECT_TRUE(torch::equal(result, matrices.transpose(-2, -1))) << shape;
    }
  }
}

TEST(Transposed, TakesViewsAsTheyAre) {
  const auto whole = torch::randn({4, 70, 95});
  const auto part = whole.slice(/*dim=*/2, 1, 90, 3).slice(/*dim=*/1, 2, 69);
  EXPECT_TRUE(torch::equal(transposed(part), part.transpose(-2, -1)));
  EXPECT_TRUE(torch::equal(transposed(transposed(part)), part));
}

}  // namespace
}  // namespace softmoe
