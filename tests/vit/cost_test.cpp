#include "vit/cost.h"

#include "core/error.h"
#include "core/rng.h"
#include "softmoe/routers.h"
#include "vit/small_models.h"

namespace softmoe {
namespace {

using test::small_moe_options;
using test::small_options;

/// One of `values`, at random.
template <typename T>
T pick(Rng& rng, std::initializer_list<T> values) {
  return std::data(values)[rng.below(static_cast<int64_t>(values.size()))];
}

/// Small options with every part there or not, keyed by `index`.
VitOptions random_options(uint64_t index) {
  Rng rng(stream_key(3, "options", 0, index));
  VitOptions options;
  options.patch_size = pick<int64_t>(rng, {2, 3, 4});
  options.img_size = {options.patch_size * (1 + rng.below(4)),
                      options.patch_size * (1 + rng.below(4))};
  options.in_chans = pick<int64_t>(rng, {1, 3, 4});
  options.num_classes = pick<int64_t>(rng, {0, 5, 11});
  options.heads = pick<int64_t>(rng, {1, 2, 3});
  options.dim = options.heads * 4 * (1 + rng.below(3));
  options.depth = 1 + rng.below(4);
  options.mlp_dim = 5 + rng.below(20);
  options.class_token = rng.below(2) == 1;
  options.global_pool =
      pick(rng, {GlobalPool::kAvg, GlobalPool::kToken, GlobalPool::kMap, GlobalPool::kTokenAvg});
  const bool is_token_avg = options.global_pool == GlobalPool::kTokenAvg;
  options.class_token |= is_token_avg || options.global_pool == GlobalPool::kToken;
  options.pool_include_prefix =
      !is_token_avg && options.global_pool != GlobalPool::kToken && rng.below(2) == 1;
  options.dist_token = options.global_pool == GlobalPool::kToken && rng.below(2) == 1;
  options.reg_tokens = rng.below(3);
  options.pos_embed_prefix = rng.below(2) == 1;
  options.pre_norm = rng.below(2) == 1;
  options.patch_bias = rng.below(2) == 1;
  options.final_norm =
      is_token_avg ? FinalNorm::kTokens : pick(rng, {FinalNorm::kTokens, FinalNorm::kPooled});
  options.pos_embed = pick(rng, {PositionEmbedding::kLearned, PositionEmbedding::kSinCos2d});
  options.qk_norm = rng.below(2) == 1;
  options.layer_scale = pick(rng, {0.0, 0.1});
  options.pre_logits = pick<int64_t>(rng, {0, 6});
  options.moe_blocks = pick<const char*>(rng, {"none", "all", "last_half", "every_1", "0"});
  if (!has_moe(options) && options.global_pool != GlobalPool::kMap) {
    options.mlp_layer = pick(rng, {MlpLayer::kMlp, MlpLayer::kSwiGlu});
  }
  const auto routers = router_names();
  options.moe.router = routers[index % routers.size()];
  options.moe.experts = 1 + rng.below(5);
  options.moe.slots_per_expert = rng.below(4);
  options.moe.capacity_factor = pick(rng, {0.5, 1.0, 2.0});
  options.moe.expert_dim = pick<int64_t>(rng, {0, 4, 9});
  options.moe.shared_mlp = rng.below(2) == 1;
  options.moe.moe_layer_scale = pick(rng, {0.0, 0.1});
  options.moe.separate_scales = options.moe.router == "soft" && rng.below(2) == 1;
  if (options.moe.router == "identity") {
    options.moe.experts = options.tokens();
    options.moe.slots_per_expert = 1;
  }
  return options;
}

TEST(ModelCost, CountsTheParametersOfTheModelThatIsBuilt) {
  for (uint64_t index = 0; index < 150; ++index) {
    const auto options = random_options(index);
    const auto cost = model_cost(options);
    const VisionTransformer model(options);
    int64_t all = 0;
    int64_t head = 0;
    for (const auto& parameter : model->named_parameters()) {
      all += parameter.value().numel();
      head += parameter.key().starts_with("head") ? parameter.value().numel() : 0;
    }
    EXPECT_EQ(cost.parameters(), all) << options_to_json(options).dump();
    EXPECT_EQ(cost.head_parameters, head) << options_to_json(options).dump();
  }
}

/// Multiply-adds of small_options(): 6 tokens of width 24, patches of 48 values.
double small_multiply_adds(double tokens = 6) {
  const double embedding = 6 * 48 * 24;
  const double linears = tokens * 24 * (3 * 24 + 24);
  const double products = 2 * tokens * tokens * 24;
  const double mlp = 2 * tokens * 24 * 40;
  const double head = 24 * 7;
  return embedding + 3 * (linears + products + mlp) + head;
}

double multiply_adds(const VitOptions& options) { return model_cost(options).gflop * 1e9 / 2; }

TEST(ModelCost, CountsMultiplyAdds) {
  auto options = small_options();
  EXPECT_NEAR(multiply_adds(options), small_multiply_adds(), 0.1);
  options.class_token = true;
  EXPECT_NEAR(multiply_adds(options), small_multiply_adds(/*tokens=*/7), 0.1);
  options.global_pool = GlobalPool::kToken;
  options.dist_token = true;
  options.reg_tokens = 3;
  EXPECT_NEAR(multiply_adds(options), small_multiply_adds(/*tokens=*/11) + 24 * 7, 0.1);
  options.pre_logits = 10;
  EXPECT_NEAR(multiply_adds(options),
              small_multiply_adds(/*tokens=*/11) + 2 * 24 * 10 - 24 * 7 + 2 * 10 * 7, 0.1);
  options = small_options();
  options.pre_logits = 10;
  EXPECT_NEAR(multiply_adds(options), small_multiply_adds() + 24 * 10 - 24 * 7 + 10 * 7, 0.1);
  options = small_options();
  options.mlp_layer = MlpLayer::kSwiGlu;
  EXPECT_NEAR(multiply_adds(options), small_multiply_adds() + 3 * 6 * 24 * 40, 0.1);
  options.global_pool = GlobalPool::kTokenAvg;
  options.mlp_layer = MlpLayer::kMlp;
  options.class_token = true;
  EXPECT_NEAR(multiply_adds(options), small_multiply_adds(/*tokens=*/7) + 24 * 7, 0.1);
  options = small_options();
  options.global_pool = GlobalPool::kMap;
  const auto pooling = [](double tokens) {
    const double projections = 2 * 24 * 24 + tokens * 24 * 48;  // query, output; keys and values
    return projections + 2 * tokens * 24 + 2 * 24 * 40;
  };
  EXPECT_NEAR(multiply_adds(options), small_multiply_adds() + pooling(6), 0.1);
  options.class_token = true;
  EXPECT_NEAR(multiply_adds(options), small_multiply_adds(/*tokens=*/7) + pooling(6), 0.1);
  options.pool_include_prefix = true;
  EXPECT_NEAR(multiply_adds(options), small_multiply_adds(/*tokens=*/7) + pooling(7), 0.1);
}

TEST(ModelCost, CountsTheRoutingOfMoeLayers) {
  const double dense = small_multiply_adds();
  const double mlp = 2 * 6 * 24 * 40;
  const double product = 6 * 6 * 24;  // tokens x slots x dim
  // Two layers with as many slots as tokens: experts cost what the MLPs cost.
  EXPECT_NEAR(multiply_adds(small_moe_options("soft")), dense + 2 * 3 * product, 0.1);
  EXPECT_NEAR(multiply_adds(small_moe_options("soft_uniform")), dense + 2 * 3 * product, 0.1);
  EXPECT_NEAR(multiply_adds(small_moe_options("uniform")), dense + 2 * 2 * product, 0.1);
  EXPECT_NEAR(multiply_adds(small_moe_options("identity")), dense, 0.1);
  auto options = small_moe_options("soft");
  options.moe.slots_per_expert = 1;  // half the slots
  EXPECT_NEAR(multiply_adds(options), dense - mlp + 3 * product, 0.1);
}

TEST(PartGflops, AreTheModelWithoutRoutingAndHead) {
  const auto sum_of = [](const std::map<std::string, double>& parts) {
    double sum = 0.0;
    for (const auto& [name, gflop] : parts) {
      sum += gflop;
    }
    return sum;
  };
  auto options = small_moe_options("identity");  // its routing has no products
  options.num_classes = 0;
  const auto parts = part_gflops(options);
  EXPECT_EQ(parts.size(), 1U + 2 * 3);  // the embedding; attention and MLP or experts
  EXPECT_EQ(parts.count("blocks.2/moe/experts") + parts.count("blocks.2/mlp"), 1U);
  EXPECT_NEAR(sum_of(parts), model_cost(options).gflop, 1e-12);
}

TEST(ModelCost, ValidatesTheOptions) {
  auto options = small_options();
  options.heads = 5;
  EXPECT_THROW(model_cost(options), UsageError);
}

}  // namespace
}  // namespace softmoe
