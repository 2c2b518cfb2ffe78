#include "vit/attention_pool.h"

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

TEST(AttentionPool, AsksAllTokensOneLearnedQuestion) {
  const DefaultDtypeGuard fp64(torch::kFloat64);
  for (const bool qk_norm : {false, true}) {
    auto options = small_options();
    options.qk_norm = qk_norm;
    options.drop = 0.5;  // the reference's head has no dropout
    AttentionPool module(options);
    randomise(module);
    const auto x = torch::randn({2, 5, 24});  // [batch, tokens, dim]
    const auto y = module->forward(x);
    ASSERT_EQ(y.sizes(), (std::vector<int64_t>{2, 24}));
    const auto query = module->latent[0].mm(module->q->weight.t()) + module->q->bias;
    for (int64_t image = 0; image < 2; ++image) {
      const auto kv = x[image].mm(module->kv->weight.t()) + module->kv->bias;
      std::vector<torch::Tensor> heads;
      for (int64_t head = 0; head < 2; ++head) {
        auto queries = query.narrow(1, head * 12, 12);
        auto keys = kv.narrow(1, head * 12, 12);
        if (qk_norm) {
          queries = defined_norm(queries, module->q_norm, options.norm_eps);
          keys = defined_norm(keys, module->k_norm, options.norm_eps);
        }
        heads.push_back(defined_attention(queries, keys, kv.narrow(1, 24 + head * 12, 12)));
      }
      const auto mixed = torch::cat(heads, 1).mm(module->proj->weight.t()) + module->proj->bias;
      const auto expected =
          mixed + module->mlp->forward(defined_norm(mixed, module->norm, options.norm_eps));
      EXPECT_TRUE(all_close(y.narrow(0, image, 1), expected));
    }
  }
}

}  // namespace
}  // namespace softmoe
