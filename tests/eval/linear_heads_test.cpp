#include "eval/linear_heads.h"

#include <torch/nn/functional/loss.h>
#include <torch/optim/sgd.h>

#include "runtime/device.h"
#include "support/tensor_matcher.h"

namespace softmoe {
namespace {

using test::all_close;
using test::same_bits;

constexpr int64_t kDim = 7;
constexpr int64_t kHeadClasses = 4;

struct LabelledBatch {
  torch::Tensor features;
  torch::Tensor labels;
};

LabelledBatch labelled_batch(int64_t seed) {
  torch::manual_seed(seed);
  return {.features = torch::randn({11, kDim}), .labels = torch::randint(kHeadClasses, {11})};
}

TEST(LinearHeads, LearnAsClassifiersOfTheirOwn) {
  const std::vector<double> rates{0.5, 0.01, 0.1};
  for (const auto& device : present_devices()) {
    LinearHeads heads(kDim, kHeadClasses, rates, 3, device);
    for (size_t head = 0; head < rates.size(); ++head) {
      LinearHeads alone(kDim, kHeadClasses, {rates[head]}, 3);
      auto weight = alone.weight(0).clone().requires_grad_();
      auto bias = alone.bias(0).clone().requires_grad_();
      torch::optim::SGD optimizer({weight, bias}, torch::optim::SGDOptions(1.0).momentum(0.9));
      LinearHeads together(kDim, kHeadClasses, rates, 3, device);
      for (int64_t step = 0; step < 5; ++step) {
        const auto batch = labelled_batch(step);
        const double factor = 1.0 / static_cast<double>(step + 1);
        together.update(batch.features.to(device), batch.labels.to(device), factor);
        static_cast<torch::optim::SGDOptions&>(optimizer.param_groups()[0].options())
            .lr(rates[head] * factor);
        optimizer.zero_grad();
        torch::nn::functional::cross_entropy(torch::addmm(bias, batch.features, weight.t()),
                                             batch.labels)
            .backward();
        optimizer.step();
      }
      const auto place = static_cast<int64_t>(head);
      EXPECT_TRUE(all_close(together.weight(place).cpu(), weight.detach())) << rates[head];
      EXPECT_TRUE(all_close(together.bias(place).cpu(), bias.detach())) << rates[head];
      const auto batch = labelled_batch(9);
      const auto logits = together.logits(batch.features.to(device)).cpu();  // [11, heads, classes]
      EXPECT_TRUE(all_close(logits.select(1, place),
                            torch::addmm(bias, batch.features, weight.t()).detach()));
    }
  }
}

TEST(LinearHeads, ADivergingOneLeavesTheOthersAlone) {
  LinearHeads both(kDim, kHeadClasses, {1e38, 0.1}, 3);
  LinearHeads alone(kDim, kHeadClasses, {0.1}, 3);
  for (int64_t step = 0; step < 6; ++step) {
    const auto batch = labelled_batch(step);
    both.update(batch.features, batch.labels, 1.0);
    alone.update(batch.features, batch.labels, 1.0);
  }
  EXPECT_FALSE(both.weight(0).isfinite().all().item<bool>());
  EXPECT_TRUE(all_close(both.weight(1), alone.weight(0)));
}

TEST(LinearHeads, BeginBySeed) {
  const LinearHeads heads(kDim, kHeadClasses, {1.0, 2.0}, 3);
  const LinearHeads other(kDim, kHeadClasses, {1.0, 2.0}, 4);
  EXPECT_TRUE(same_bits(heads.weight(0), heads.weight(1)));
  EXPECT_FALSE(heads.weight(0).equal(other.weight(0)));
  EXPECT_TRUE(same_bits(heads.bias(1), torch::zeros({kHeadClasses})));
}

TEST(LinearHeads, RejectMisuse) {
  EXPECT_THROW(LinearHeads(kDim, kHeadClasses, {}, 0), c10::ValueError);
  LinearHeads heads(kDim, kHeadClasses, {1.0}, 0);
  EXPECT_THROW(heads.logits(torch::ones({2, kDim + 1})), c10::ValueError);
  EXPECT_THROW(heads.update(torch::ones({2, kDim}), torch::zeros({3}, torch::kInt64), 1.0),
               c10::ValueError);
}

}  // namespace
}  // namespace softmoe
