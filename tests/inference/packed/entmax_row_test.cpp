#include "inference/packed/entmax_row.h"

#include <gtest/gtest.h>

#include <vector>

#include "ops/entmax.h"
#include "support/tensor_matcher.h"

namespace softmoe {
namespace {

TEST(EntmaxRow, IsTheOperatorOfOneRow) {
  torch::manual_seed(5);
  for (const int64_t count : {1, 2, 31, 200}) {
    for (const double scale : {0.0, 0.3, 5.0, 80.0}) {
      auto row = (scale * torch::randn({count})).contiguous();
      const auto expected = entmax15(row.to(torch::kFloat64)).to(torch::kFloat32);
      std::vector<float> sorted(static_cast<size_t>(count));
      entmax15_row(row.data_ptr<float>(), count, sorted.data());
      EXPECT_TRUE(test::all_close(row, expected, {.absolute = 1e-5})) << count << " " << scale;
    }
  }
}

}  // namespace
}  // namespace softmoe
