#include "vit/layer_scale.h"

#include "vit/definitions.h"

namespace softmoe {
namespace {

using test::all_close;
using test::randomise;
using test::same_bits;

TEST(LayerScale, MultipliesEveryChannelByItsOwnFactor) {
  LayerScale module(3, 0.25);
  const auto x = torch::randn({2, 4, 3});
  EXPECT_TRUE(same_bits(module->forward(x), 0.25 * x));
  randomise(module);
  EXPECT_TRUE(all_close(module->forward(x).select(2, 1), x.select(2, 1) * module->gamma[1]));
}

}  // namespace
}  // namespace softmoe
