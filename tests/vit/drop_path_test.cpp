#include "vit/drop_path.h"

#include "support/tensor_matcher.h"

namespace softmoe {
namespace {

using test::all_close;

TEST(DropPath, DropsWholeSamplesAndScalesTheRest) {
  torch::manual_seed(3);
  const auto x = torch::rand({4000, 2, 3}) + 1;
  const auto y = drop_path(x, 0.25, /*training=*/true);
  const auto ratio = (y / x).flatten(1);  // [batch, 6]
  EXPECT_TRUE(all_close(ratio, ratio.narrow(1, 0, 1).expand_as(ratio)));
  const auto kept = ratio.select(1, 0).gt(0);
  EXPECT_TRUE(all_close(y.index({kept}), x.index({kept}) / 0.75));
  EXPECT_EQ(y.index({kept.logical_not()}).abs().max().item<double>(), 0.0);
  EXPECT_NEAR(kept.to(torch::kFloat32).mean().item<double>(), 0.75, 0.03);
}

TEST(DropPath, LeavesEvaluationAndRateZeroAlone) {
  const auto x = torch::randn({4, 3});
  EXPECT_TRUE(drop_path(x, 0.9, /*training=*/false).is_same(x));
  EXPECT_TRUE(drop_path(x, 0.0, /*training=*/true).is_same(x));
}

}  // namespace
}  // namespace softmoe
