#include "ops/soft_routing.h"

#include "runtime/autocast_guard.h"
#include "runtime/device.h"
#include "support/gradient_check.h"
#include "support/tensor_matcher.h"

namespace softmoe::soft_routing_test {

using test::all_close;
using test::same_bits;
using test::Tolerance;

constexpr double kEps = 1e-6;

/// Pairwise distinct sizes: batch 2, tokens 7, dim 5, experts 3, slots 12.
struct Inputs {
  explicit Inputs(torch::Dtype dtype = torch::kFloat64) {
    torch::manual_seed(11);
    x = torch::randn({2, 7, 5}, dtype);
    phi = torch::randn({5, 12}, dtype);
    scale = torch::full({}, 2.5, dtype);
  }
  torch::Tensor logits() const { return soft_logits(x, phi, scale, kEps); }

  torch::Tensor x;
  torch::Tensor phi;
  torch::Tensor scale;
};

TEST(L2Normalize, DividesByTheRootOfTheSquaredNormPlusEps) {
  const auto x = torch::tensor({{3.0, 4.0}, {0.0, 0.0}}, torch::kFloat64);
  const auto expected =
      torch::tensor({{3.0, 4.0}, {0.0, 0.0}}, torch::kFloat64) / std::sqrt(25.0 + 0.5);
  EXPECT_TRUE(all_close(l2_normalize(x, 1, 0.5), expected));
  const auto columns =
      torch::tensor({{3.0 / std::sqrt(9.5), 4.0 / std::sqrt(16.5)}, {0.0, 0.0}}, torch::kFloat64);
  EXPECT_TRUE(all_close(l2_normalize(x, 0, 0.5), columns));
}

TEST(L2Normalize, HasFiniteGradientsAtZero) {
  auto x = torch::zeros({3, 2}).requires_grad_();
  l2_normalize(x, 1, kEps).sum().backward();
  EXPECT_TRUE(x.grad().isfinite().all().item<bool>());
}

TEST(SoftLogits, AreScaledCosineSimilarities) {
  const Inputs inputs;
  const auto logits = inputs.logits();  // [batch, tokens, slots]
  for (const auto& [image, token, slot] : {std::tuple{0, 0, 0}, {1, 6, 11}, {1, 2, 7}}) {
    const auto x = inputs.x[image][token];
    const auto key = inputs.phi.select(1, slot);
    const auto cosine = x.dot(key) / ((x.dot(x) + kEps).sqrt() * (key.dot(key) + kEps).sqrt());
    EXPECT_TRUE(all_close(logits[image][token][slot], 2.5 * cosine));
  }
}

TEST(SoftLogits, DoNotDependOnTheLengthOfTokensOrSlots) {
  const Inputs inputs;
  const auto longer = soft_logits(inputs.x * 1e3, inputs.phi * 50, inputs.scale, 0.0);
  EXPECT_TRUE(all_close(longer, soft_logits(inputs.x, inputs.phi, inputs.scale, 0.0)));
  EXPECT_LE(longer.abs().max().item<double>(), 2.5 + 1e-12);
}

TEST(SoftLogits, AreFp32ForReducedTokensAndUnderAutocast) {
  for (const auto& device : present_devices()) {
    Inputs inputs(torch::kFloat32);
    inputs.x = inputs.x.to(device);
    inputs.phi = inputs.phi.to(device);
    inputs.scale = inputs.scale.to(device);
    const auto plain = inputs.logits();
    const auto reduced = inputs.x.to(torch::kBFloat16);
    const auto of_reduced = soft_logits(reduced, inputs.phi, inputs.scale, kEps);
    const auto of_widened =
        soft_logits(reduced.to(torch::kFloat32), inputs.phi, inputs.scale, kEps);
    EXPECT_TRUE(same_bits(of_reduced, of_widened));
    const AutocastGuard autocast(device, torch::kBFloat16);
    const auto under_autocast = inputs.logits();
    EXPECT_EQ(under_autocast.scalar_type(), torch::kFloat32);
    EXPECT_TRUE(same_bits(under_autocast, plain));
    // The guard inside must not have switched autocast off for what follows.
    EXPECT_EQ(inputs.x.matmul(inputs.phi).scalar_type(), torch::kBFloat16);
  }
}

TEST(SoftLogits, RefuseShapesThatDoNotMatch) {
  const Inputs inputs;
  EXPECT_THROW(soft_logits(inputs.x[0], inputs.phi, inputs.scale, kEps), c10::ValueError);
  EXPECT_THROW(soft_logits(inputs.x, inputs.phi.t(), inputs.scale, kEps), c10::ValueError);
}

TEST(SoftWeights, SumToOneOverTokensAndOverSlots) {
  const auto weights = soft_weights(Inputs().logits());
  EXPECT_TRUE(all_close(weights.dispatch.sum(1), torch::ones({2, 12}, torch::kFloat64)));
  EXPECT_TRUE(all_close(weights.combine.sum(2), torch::ones({2, 7}, torch::kFloat64)));
  EXPECT_GT(weights.dispatch.min().item<double>(), 0.0);
  EXPECT_GT(weights.combine.min().item<double>(), 0.0);
}

TEST(SoftDispatch, MixesTheTokensOfAnImageIntoItsRowsOfEachExpert) {
  const Inputs inputs;
  const auto dispatch = soft_weights(inputs.logits()).dispatch;
  const auto rows = dispatch_tokens(inputs.x, dispatch, /*experts=*/3);  // [experts, rows, dim]
  ASSERT_EQ(rows.sizes(), (std::vector<int64_t>{3, 2 * 4, 5}));
  for (int64_t image = 0; image < 2; ++image) {
    for (int64_t slot = 0; slot < 12; ++slot) {
      const auto expected = dispatch[image].select(1, slot).unsqueeze(0).mm(inputs.x[image])[0];
      EXPECT_TRUE(all_close(rows[slot / 4][image * 4 + slot % 4], expected))
          << "image " << image << ", slot " << slot;
    }
  }
}

TEST(SoftCombine, MixesTheSlotsOfAnImageIntoItsTokens) {
  const Inputs inputs;
  const auto combine = soft_weights(inputs.logits()).combine;
  const auto outputs = torch::randn({3, 2 * 4, 6}, torch::kFloat64);  // [experts, rows, dim]
  const auto y = combine_outputs(outputs, combine);
  ASSERT_EQ(y.sizes(), (std::vector<int64_t>{2, 7, 6}));
  for (int64_t image = 0; image < 2; ++image) {
    auto expected = torch::zeros({7, 6}, torch::kFloat64);
    for (int64_t slot = 0; slot < 12; ++slot) {
      expected += combine[image].select(1, slot).unsqueeze(1) *
                  outputs[slot / 4][image * 4 + slot % 4].unsqueeze(0);
    }
    EXPECT_TRUE(all_close(y[image], expected));
  }
}

TEST(SoftRouting, GradientsMatchFiniteDifferences) {
  Inputs inputs;
  inputs.x.requires_grad_();
  inputs.phi.requires_grad_();
  inputs.scale.requires_grad_();
  const auto matrices = torch::randn({3, 5, 5}, torch::kFloat64);
  const auto cotangent = torch::randn({2, 7, 5}, torch::kFloat64);
  const auto function = [&] {
    const auto weights = soft_weights(inputs.logits());
    const auto rows = dispatch_tokens(inputs.x, weights.dispatch, 3).bmm(matrices).tanh();
    return (combine_outputs(rows, weights.combine) * cotangent).sum();
  };
  EXPECT_TRUE(test::gradients_match(
      function, {{"x", inputs.x}, {"phi", inputs.phi}, {"scale", inputs.scale}}));
}

TEST(RoundThrough, RoundsValuesAndGradientsToTheDtypeAndBack) {
  torch::manual_seed(3);
  auto x = torch::randn({50}).requires_grad_();
  const auto cotangent = torch::randn({50});
  const auto rounded = round_through(x, torch::kBFloat16);
  EXPECT_EQ(rounded.scalar_type(), torch::kFloat32);
  EXPECT_TRUE(same_bits(rounded, x.to(torch::kBFloat16).to(torch::kFloat32)));
  EXPECT_FALSE(all_close(rounded, x, Tolerance{.absolute = 1e-5}));
  (rounded * cotangent).sum().backward();
  EXPECT_TRUE(same_bits(x.grad(), cotangent.to(torch::kBFloat16).to(torch::kFloat32)));
}

TEST(RoundThrough, LeavesATensorOfTheDtypeAlone) {
  const auto x = torch::randn({5}).to(torch::kBFloat16);
  EXPECT_TRUE(round_through(x, torch::kBFloat16).is_same(x));
}

}  // namespace softmoe::soft_routing_test
