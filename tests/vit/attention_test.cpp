#include "vit/attention.h"

#include "ops/initialization.h"
#include "vit/definitions.h"
#include "vit/small_models.h"

namespace softmoe {
namespace {

using test::all_close;
using test::defined_attention;
using test::defined_norm;
using test::randomise;
using test::small_options;

TEST(Attention, MixesValuesHeadByHead) {
  const DefaultDtypeGuard fp64(torch::kFloat64);
  for (const bool qk_norm : {false, true}) {
    auto options = small_options();
    options.qk_norm = qk_norm;
    options.norm_eps = 1e-3;  // to be seen
    Attention module(options);
    randomise(module);
    const auto x = torch::randn({2, 5, 24});  // [batch, tokens, dim]
    const auto y = module->forward(x);
    for (int64_t image = 0; image < 2; ++image) {
      const auto qkv = x[image].mm(module->qkv->weight.t()) + module->qkv->bias;
      std::vector<torch::Tensor> heads;
      for (int64_t head = 0; head < 2; ++head) {
        auto queries = qkv.narrow(1, head * 12, 12);
        auto keys = qkv.narrow(1, 24 + head * 12, 12);
        const auto values = qkv.narrow(1, 48 + head * 12, 12);
        if (qk_norm) {
          queries = defined_norm(queries, module->q_norm, 1e-3);
          keys = defined_norm(keys, module->k_norm, 1e-3);
        }
        heads.push_back(defined_attention(queries, keys, values));
      }
      const auto expected = torch::cat(heads, 1).mm(module->proj->weight.t()) + module->proj->bias;
      EXPECT_TRUE(all_close(y[image], expected)) << (qk_norm ? "with" : "without") << " QK-norm";
    }
    const auto residual = torch::randn_like(x);
    EXPECT_TRUE(all_close(module->forward(x, residual), residual + y));
  }
}

TEST(Attention, NormsOfQueriesAndKeysHaveNoBias) {
  auto options = small_options();
  options.qk_norm = true;
  Attention module(options);
  EXPECT_FALSE(module->q_norm->bias.defined());
  EXPECT_FALSE(module->k_norm->bias.defined());
  EXPECT_EQ(module->q_norm->weight.sizes(), std::vector<int64_t>{12});
}

}  // namespace
}  // namespace softmoe
