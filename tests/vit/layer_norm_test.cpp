#include "vit/layer_norm.h"

#include "ops/initialization.h"
#include "vit/definitions.h"

namespace softmoe {
namespace {

using test::all_close;
using test::defined_norm;
using test::randomise;

TEST(LayerNorm, FollowsItsDefinition) {
  const DefaultDtypeGuard fp64(torch::kFloat64);
  for (const bool with_bias : {true, false}) {
    LayerNorm module(6, 1e-2, with_bias);
    EXPECT_TRUE(module->weight.eq(1).all().item<bool>());
    randomise(module);
    const auto x = torch::randn({3, 4, 6});
    EXPECT_TRUE(all_close(module->forward(x), defined_norm(x, module, 1e-2)));
  }
}

}  // namespace
}  // namespace softmoe
