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
    std::array<uint8_t, 256> codes;
    const float scale = code->encode(code->numbers().data(), 256, codes.data());
    EXPECT_EQ(scale, 1.0F);
    for (size_t i = 0; i < codes.size(); ++i) {
      EXPECT_EQ(codes[i], i);
    }
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

TEST(MomentCode, LoopsAndOperatorsGiveTheSameCodes) {
  for (const bool has_sign : {true, false}) {
    const auto& code = has_sign ? MomentCode::of_means() : MomentCode::of_squares();
    const int64_t count = 3 * kMomentBlock + 41;
    auto values = spread_values(count, has_sign);
    values.slice(0, 256, 512).zero_();
    const auto codes = torch::zeros({count}, torch::kUInt8);
    const auto scales = torch::zeros({moment_blocks(count)});
    code.encode(values, codes, scales);
    const auto decoded = code.decoded(codes, scales);
    for (int64_t block = 0; block < moment_blocks(count); ++block) {
      const int64_t first = block * kMomentBlock;
      const int64_t size = std::min(kMomentBlock, count - first);
      std::array<uint8_t, kMomentBlock> own;
      std::array<float, kMomentBlock> back;
      const float scale = code.encode(values.data_ptr<float>() + first, size, own.data());
      EXPECT_EQ(scale, scales[block].item<float>());
      code.decode(own.data(), scale, size, back.data());
      for (int64_t i = 0; i < size; ++i) {
        EXPECT_EQ(own[static_cast<size_t>(i)], codes[first + i].item<uint8_t>()) << first + i;
        EXPECT_EQ(back[static_cast<size_t>(i)], decoded[first + i].item<float>());
      }
    }
  }
}

TEST(MomentCode, SquaresAboveZeroStayAboveZero) {
  const std::array<float, 3> values{1.0F, 1e-20F, 0.0F};
  std::array<uint8_t, 3> codes;
  MomentCode::of_squares().encode(values.data(), 3, codes.data());
  EXPECT_EQ(codes[1], 1);
  EXPECT_EQ(codes[2], 0);
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
