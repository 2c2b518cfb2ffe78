#include "ops/contrastive.h"

#include <ATen/Functions.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "runtime/autocast_guard.h"
#include "support/gradient_check.h"
#include "support/peak_memory.h"
#include "support/tensor_matcher.h"

namespace softmoe::test {
namespace {

using Loss = torch::Tensor (*)(const EmbeddedPairs&, int64_t);

struct ContrastiveCase {
  const char* name;
  Loss loss;
  bool has_groups;
};

void PrintTo(const ContrastiveCase& item, std::ostream* out) { *out << item.name; }

EmbeddedPairs random_pairs(int64_t batch, int64_t dim, torch::Dtype dtype, bool has_groups) {
  torch::manual_seed(3);
  const auto unit = [&] {
    const auto x = torch::randn({batch, dim}, dtype);
    return (x / x.norm(2, -1, true)).requires_grad_();
  };
  EmbeddedPairs pairs{.images = unit(),
                      .texts = unit(),
                      .log_scale = torch::full({}, std::log(7.0), dtype).requires_grad_(),
                      .bias = torch::full({}, -1.5, dtype).requires_grad_()};
  if (has_groups) {
    pairs.groups = torch::arange(batch).remainder(4);
  }
  return pairs;
}

/// The definitions, with all logits at once.
torch::Tensor plain_loss(const EmbeddedPairs& pairs, bool is_sigmoid) {
  const auto logits =
      pairs.images.matmul(pairs.texts.t()) * pairs.log_scale.exp() + pairs.bias;  // [batch, batch]
  const auto batch = logits.size(0);
  const auto groups = pairs.groups.defined() ? pairs.groups : torch::arange(batch);
  const auto same = groups.unsqueeze(1).eq(groups.unsqueeze(0)).to(logits.scalar_type());
  if (is_sigmoid) {
    return -torch::log_sigmoid((2 * same - 1) * logits).sum() / static_cast<double>(batch);
  }
  const auto targets = same / same.sum(1, true);
  return -0.5 *
         ((targets * logits.log_softmax(1)).sum() + (targets * logits.log_softmax(0)).sum()) /
         static_cast<double>(batch);
}

class ContrastiveLosses : public testing::TestWithParam<ContrastiveCase> {};

TEST_P(ContrastiveLosses, GiveTheDefinitionAndItsGradientsForAnyNumberOfRows) {
  const auto& item = GetParam();
  const bool is_sigmoid = item.loss == sigmoid_contrastive_loss;
  const auto pairs = random_pairs(11, 5, torch::kFloat64, item.has_groups);
  const std::vector<torch::Tensor> leaves{pairs.images, pairs.texts, pairs.log_scale, pairs.bias};
  const auto expected = plain_loss(pairs, is_sigmoid);
  const auto expected_gradients = torch::autograd::grad({expected * 3.0}, leaves);
  for (const int64_t rows : {1, 4, 11, 100}) {
    const auto loss = item.loss(pairs, rows);
    EXPECT_NEAR(loss.item<double>(), expected.item<double>(), 1e-12) << rows;
    const auto gradients = torch::autograd::grad({loss * 3.0}, leaves);
    for (size_t leaf = 0; leaf < leaves.size(); ++leaf) {
      EXPECT_TRUE(
          all_close(gradients[leaf], expected_gradients[leaf], Tolerance{.absolute = 1e-12}))
          << rows << " rows, leaf " << leaf;
    }
  }
}

TEST_P(ContrastiveLosses, HaveTheGradientsOfFiniteDifferences) {
  const auto& item = GetParam();
  const auto pairs = random_pairs(7, 3, torch::kFloat64, item.has_groups);
  EXPECT_TRUE(gradients_match([&] { return item.loss(pairs, 3); }, {{"images", pairs.images},
                                                                    {"texts", pairs.texts},
                                                                    {"log_scale", pairs.log_scale},
                                                                    {"bias", pairs.bias}}));
}

TEST_P(ContrastiveLosses, AreExactUnderAutocast) {
  const auto& item = GetParam();
  const auto pairs = random_pairs(9, 6, torch::kFloat32, item.has_groups);
  const auto expected = item.loss(pairs, 4);
  const AutocastGuard autocast(torch::kCPU, torch::kBFloat16);
  const auto loss = item.loss(pairs, 4);
  EXPECT_EQ(loss.item<float>(), expected.item<float>());
}

INSTANTIATE_TEST_SUITE_P(
    Losses, ContrastiveLosses,
    testing::Values(ContrastiveCase{"softmax", softmax_contrastive_loss, false},
                    ContrastiveCase{"softmax_of_groups", softmax_contrastive_loss, true},
                    ContrastiveCase{"sigmoid", sigmoid_contrastive_loss, false},
                    ContrastiveCase{"sigmoid_of_groups", sigmoid_contrastive_loss, true}),
    [](const auto& item) { return std::string(item.param.name); });

TEST(ContrastiveLoss, IsThatOfChanceWithoutAnySimilarity) {
  auto pairs = random_pairs(8, 3, torch::kFloat64, false);
  pairs.images = torch::zeros_like(pairs.images);
  pairs.bias = torch::Tensor();
  EXPECT_NEAR(softmax_contrastive_loss(pairs, 8).item<double>(), std::log(8.0), 1e-12);
  EXPECT_NEAR(sigmoid_contrastive_loss(pairs, 8).item<double>(), 8 * std::log(2.0), 1e-12);
}

TEST(ContrastiveLoss, HoldsSomeRowsOfLogitsAtATime) {
  const auto pairs = random_pairs(4096, 4, torch::kFloat32, false);
  const auto peak = peak_growth([&] { sigmoid_contrastive_loss(pairs, 32).backward(); });
  if (!peak) {
    GTEST_SKIP() << "the peak of memory is not known here";
  }
  EXPECT_LT(*peak, int64_t{4096} * 4096 * 4 / 2);  // half of all logits
}

TEST(ContrastiveLoss, ShapesThatDoNotFitAreMisuse) {
  auto pairs = random_pairs(4, 3, torch::kFloat32, false);
  EXPECT_THROW(softmax_contrastive_loss(pairs, 0), c10::ValueError);
  pairs.texts = pairs.texts.slice(0, 1);
  EXPECT_THROW(sigmoid_contrastive_loss(pairs, 2), c10::ValueError);
}

}  // namespace
}  // namespace softmoe::test
