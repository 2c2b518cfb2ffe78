#include "ops/recomputed.h"

#include <gtest/gtest.h>

#include "support/tensor_matcher.h"

namespace softmoe {
namespace {

using test::same_bits;

TEST(Recomputed, GivesEqualGradientsWithRandomNumbersAndState) {
  at::manual_seed(4);
  const auto input = torch::randn({3, 5}).requires_grad_();
  const auto weight = torch::randn({5, 5}).requires_grad_();
  const auto counter = torch::zeros({});
  const auto run = [&](const torch::Tensor& x) {
    counter.add_(1.0);
    return torch::dropout(x.matmul(weight), 0.5, /*train=*/true) * counter;
  };
  torch::manual_seed(9);
  const auto expected = run(input);
  expected.square().sum().backward();
  const auto input_gradient = input.grad().clone();
  const auto weight_gradient = weight.grad().clone();
  input.mutable_grad().reset();
  weight.mutable_grad().reset();

  counter.zero_();
  torch::manual_seed(9);
  const auto output = recomputed(input, {counter}, run);
  EXPECT_TRUE(same_bits(output.detach(), expected.detach()));
  torch::rand({7});  // what follows draws numbers, too
  counter.add_(5.0);
  output.square().sum().backward();
  EXPECT_TRUE(same_bits(input.grad(), input_gradient));
  EXPECT_TRUE(same_bits(weight.grad(), weight_gradient));
  EXPECT_EQ(counter.item<double>(), 6.0);  // the second call leaves no trace
}

TEST(Recomputed, GivesParametersGradientsIfTheInputHasNone) {
  const auto weight = torch::ones({2}).requires_grad_();
  const auto output =
      recomputed(torch::full({2}, 3.0), {}, [&](const torch::Tensor& x) { return x * weight; });
  output.sum().backward();
  EXPECT_TRUE(same_bits(weight.grad(), torch::full({2}, 3.0)));
}

}  // namespace
}  // namespace softmoe
