/// Trajectories of timm's optimizers (tests/fixtures/optimizers/make.py).

#include <gtest/gtest.h>

#include <algorithm>

#include "io/npz.h"
#include "ops/muon_update.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"
#include "train/muon.h"
#include "train/optimizer_cases.h"

namespace softmoe {
namespace {

class OptimizerParity : public testing::TestWithParam<std::string> {
 protected:
  static constexpr int64_t kSteps = 4;
};

TEST_P(OptimizerParity, FollowsTimm) {
  const auto path = test::fixture("optimizers/timm.npz");
  const auto arrays = read_npz(path);
  const auto prefix = GetParam() + "/";
  test::Parameters parameters;
  for (const auto& [key, array] : arrays) {
    if (key.starts_with(prefix)) {
      const auto name = key.substr(prefix.size());
      const auto start = npz_array(arrays, "params0/" + name, path);
      parameters.push_back({name, start.clone().requires_grad_()});
    }
  }
  ASSERT_FALSE(parameters.empty());
  OptimizerOptions options;
  options.opt = GetParam();
  options.weight_decay = 0.1;
  fit_optimizer(options, /*keep=*/{});
  const auto optimizer = make_optimizer(parameters, options);
  for (int64_t step = 0; step < kSteps; ++step) {
    for (auto& [name, tensor] : parameters) {
      tensor.mutable_grad() = npz_array(arrays, "grads/" + name, path)[step].clone();
    }
    optimizer->step(1e-2);
    for (const auto& [name, tensor] : parameters) {
      const auto expected = npz_array(arrays, prefix + name, path)[step];
      EXPECT_TRUE(test::all_close(tensor.detach(), expected)) << name << ", step " << step;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Each, OptimizerParity,
                         testing::Values("lion", "lamb", "adafactor", "muon"),
                         [](const auto& each) { return each.param; });

TEST(Muon, BringsAllSingularValuesNearOne) {
  at::manual_seed(2);
  for (const auto& shape : {std::vector<int64_t>{6, 20}, {20, 6}, {3, 9, 9}}) {
    for (const auto dtype : {torch::kFloat32, torch::kBFloat16}) {
      const auto values = at::linalg_svdvals(orthogonalized(torch::randn(shape), dtype));
      EXPECT_GT(values.min().item<double>(), 0.5) << shape;
      EXPECT_LT(values.max().item<double>(), 1.3) << shape;
    }
  }
}

TEST(Muon, OrthogonalizesEachExpertByItself) {
  at::manual_seed(3);
  const auto matrices = torch::randn({3, 8, 5}, torch::kFloat64);
  const auto together = orthogonalized(matrices, torch::kFloat64);
  for (int64_t expert = 0; expert < 3; ++expert) {
    EXPECT_TRUE(
        test::all_close(together[expert], orthogonalized(matrices[expert], torch::kFloat64)));
  }
}

TEST(Muon, TakesWeightsOfBlocksAlone) {
  const auto takes = [](const std::string& name, const std::vector<int64_t>& shape) {
    return is_muon_matrix({name, torch::zeros(shape)});
  };
  EXPECT_TRUE(takes("blocks.0.attn.qkv.weight", {12, 4}));
  EXPECT_TRUE(takes("blocks.11.moe.experts.fc1_weight", {2, 8, 6}));
  EXPECT_FALSE(takes("blocks.0.attn.qkv.bias", {12}));
  EXPECT_FALSE(takes("blocks.0.norm1.weight", {12}));
  EXPECT_FALSE(takes("blocks.0.mlp.fc1.weight", {3, 12}));
  EXPECT_FALSE(takes("head.weight", {10, 12}));
  EXPECT_FALSE(takes("patch_embed.proj.weight", {12, 12}));
}

TEST(Adafactor, KeepsRowsAndColumnsOfLargeMatricesAlone) {
  test::Parameters parameters{{"a.weight", torch::zeros({40, 50}).requires_grad_()},
                              {"b.weight", torch::zeros({2, 33, 64}).requires_grad_()},
                              {"c.weight", torch::zeros({8, 50}).requires_grad_()}};
  OptimizerOptions options;
  options.opt = "adafactor";
  const auto optimizer = make_optimizer(parameters, options);
  const auto state = optimizer->state();
  EXPECT_EQ(state.at("exp_avg_sq_r/a.weight").sizes(), (std::vector<int64_t>{40, 1}));
  EXPECT_EQ(state.at("exp_avg_sq_c/a.weight").sizes(), (std::vector<int64_t>{1, 50}));
  EXPECT_EQ(state.at("exp_avg_sq_r/b.weight").sizes(), (std::vector<int64_t>{2, 33, 1}));
  EXPECT_EQ(state.at("exp_avg/a.weight").scalar_type(), torch::kBFloat16);
  EXPECT_FALSE(state.contains("exp_avg_sq/a.weight"));
  EXPECT_TRUE(state.contains("exp_avg_sq/c.weight"));
}

}  // namespace
}  // namespace softmoe
