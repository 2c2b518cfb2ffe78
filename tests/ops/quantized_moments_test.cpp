#include "ops/quantized_moments.h"

#include <gtest/gtest.h>

#include "ops/optimizer_update.h"
#include "support/tensor_matcher.h"

namespace softmoe {
namespace {

using test::all_close;

/// Values of many magnitudes, [count].
torch::Tensor spread_values(int64_t count, bool has_sign) {
  torch::manual_seed(5);
  auto values = torch::pow(10.0, torch::rand({count}) * -9.0);
  if (has_sign) {
    values = values * (torch::randint(2, {count}) * 2 - 1);
  }
  values[3] = 0.0;
  return values;
}

TEST(MomentCode, HasTheNumbersOfTheDynamicTree) {
  const auto& means = MomentCode::of_means().numbers();
  EXPECT_EQ(means[127], 0.0F);
  EXPECT_FLOAT_EQ(means[128], 0.55e-6F);
  EXPECT_FLOAT_EQ(means[126], -0.55e-6F);
  EXPECT_FLOAT_EQ(means[254], 0.99296875F);
  EXPECT_FLOAT_EQ(means[0], -0.99296875F);
  EXPECT_EQ(means[255], 1.0F);
  const auto& squares = MomentCode::of_squares().numbers();
  EXPECT_EQ(squares[0], 0.0F);
  EXPECT_FLOAT_EQ(squares[1], 0.325e-6F);
  EXPECT_FLOAT_EQ(squares[254], 0.996484375F);
  EXPECT_EQ(squares[255], 1.0F);
}

TEST(MomentCode, NumbersKeepTheirPlaces) {
  for (const auto* code : {&MomentCode::of_means(), &MomentCode::of_squares()}) {
    const auto numbers = torch::tensor(at::ArrayRef<float>(code->numbers()));
    const auto codes = torch::zeros({256}, torch::kUInt8);
    const auto scales = torch::zeros({1});
    code->encode(numbers, codes, scales);
    EXPECT_EQ(scales.item<float>(), 1.0F);
    EXPECT_TRUE(torch::equal(codes, torch::arange(256).to(torch::kUInt8)));
    EXPECT_TRUE(torch::equal(code->decoded(codes, scales), numbers));
  }
}

TEST(MomentCode, ErrorsAreSmallOverMagnitudes) {
  const auto values = spread_values(1000, /*has_sign=*/true);
  const auto codes = torch::zeros({1000}, torch::kUInt8);
  const auto scales = torch::zeros({moment_blocks(1000)});
  const auto& code = MomentCode::of_means();
  code.encode(values, codes, scales);
  const auto errors = (code.decoded(codes, scales) - values).abs();
  const auto large = values.abs() > 0.1;
  EXPECT_LT((errors / values.abs()).masked_select(large).max().item<double>(), 0.07);
  EXPECT_LT(errors.max().item<double>(), 0.008);
}

TEST(MomentCode, SquaresAboveZeroStayAboveZero) {
  const auto codes = torch::zeros({3}, torch::kUInt8);
  MomentCode::of_squares().encode(torch::tensor({1.0F, 1e-20F, 0.0F}), codes, torch::zeros({1}));
  EXPECT_EQ(codes[1].item<int>(), 1);
  EXPECT_EQ(codes[2].item<int>(), 0);
}

TEST(AdamW8BitUpdate, OfAnyLayoutIsTheSame) {
  UpdatedTensors fused{.parameters = {}, .gradients = {}, .state = {{}, {}, {}, {}}};
  auto plain = fused;
  torch::manual_seed(1);
  const auto parameter = torch::randn({37, 119});
  for (auto* tensors : {&fused, &plain}) {
    tensors->parameters = {parameter.clone()};
    for (const size_t kind : {0, 1}) {
      tensors->state[kind] = {torch::zeros({37, 119}, torch::kUInt8)};
      tensors->state[kind + 2] = {torch::zeros({moment_blocks(37 * 119)})};
    }
  }
  for (int64_t step = 1; step < 5; ++step) {
    const auto gradient = torch::randn({119, 37});
    fused.gradients = {gradient.t().contiguous()};
    plain.gradients = {gradient.t()};
    const AdamWStep options{.lr = 0.01, .decay = 0.1, .step = step, .gradient_factor = 0.5};
    adamw_8bit_update(options, fused);
    adamw_8bit_update(options, plain);
    EXPECT_TRUE(
        all_close(fused.parameters[0], plain.parameters[0], {.absolute = 2e-3, .relative = 1e-3}));
  }
  EXPECT_FALSE(torch::equal(fused.parameters[0], parameter));
}

}  // namespace
}  // namespace softmoe
