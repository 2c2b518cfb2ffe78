#include "ops/fused/attention.h"

#include "ops/operator_checks.h"

namespace softmoe::fused::attention_test {

using test::expect_agreement;
using test::expect_determinism;
using test::expect_freezing;
using test::Operator;
using test::Tensors;

struct AttentionCase {
  std::string name;
  int64_t batch;
  int64_t tokens;
  int64_t heads;
  int64_t head_dim;
  bool qk_norm;
  bool residual;
};
void PrintTo(const AttentionCase& test_case, std::ostream* out) { *out << test_case.name; }

Tensors attention_inputs(const AttentionCase& sizes) {
  const int64_t dim = sizes.heads * sizes.head_dim;
  const double scale = 1.0 / std::sqrt(static_cast<double>(dim));
  const std::vector<int64_t> shape{sizes.batch, sizes.tokens, dim};
  return {torch::randn(shape),
          torch::randn({3 * dim, dim}) * scale,
          torch::randn({3 * dim}),
          torch::randn({dim, dim}) * scale,
          torch::randn({dim}),
          sizes.qk_norm ? torch::randn({sizes.head_dim}) : torch::Tensor(),
          sizes.qk_norm ? torch::randn({sizes.head_dim}) : torch::Tensor(),
          sizes.residual ? torch::randn(shape) : torch::Tensor()};
}

torch::Tensor plain_attention(const Tensors& in, const AttentionCase& sizes) {
  const auto parts = torch::linear(in[0], in[1], in[2])
                         .view({sizes.batch, sizes.tokens, 3, sizes.heads, sizes.head_dim})
                         .permute({2, 0, 3, 1, 4});  // [3, batch, heads, tokens, head_dim]
  auto queries = parts[0];
  auto keys = parts[1];
  if (in[5].defined()) {
    queries = torch::layer_norm(queries, {sizes.head_dim}, in[5], torch::Tensor(), 1e-6);
    keys = torch::layer_norm(keys, {sizes.head_dim}, in[6], torch::Tensor(), 1e-6);
  }
  const auto scores =
      queries.matmul(keys.transpose(-2, -1)) / std::sqrt(static_cast<double>(sizes.head_dim));
  const auto mixed = scores.softmax(-1).matmul(parts[2]).transpose(1, 2).reshape(in[0].sizes());
  const auto out = torch::linear(mixed, in[3], in[4]);
  return in[7].defined() ? out + in[7] : out;
}

Operator fused_attention(int64_t heads, Precision precision) {
  return [=](const Tensors& in) {
    return attention(in[0], {in[1], in[2], in[3], in[4], in[5], in[6], 1e-6, heads}, precision,
                     in[7]);
  };
}

void expect_agreement_of(const AttentionCase& sizes, Precision precision, const Tensors& inputs) {
  expect_agreement(
      fused_attention(sizes.heads, precision),
      [&sizes](const Tensors& in) { return plain_attention(in, sizes); }, inputs, precision);
}

using FusedAttentionOfSize = test::SizesTest<AttentionCase>;

TEST_P(FusedAttentionOfSize, AgreesWithLibtorch) {
  const auto inputs = attention_inputs(sizes());
  expect_agreement_of(sizes(), precision(), inputs);
  expect_determinism(fused_attention(sizes().heads, precision()), inputs);
}

INSTANTIATE_TEST_SUITE_P(
    Sizes, FusedAttentionOfSize,
    testing::Combine(test::every_precision(),
                     testing::Values(AttentionCase{"OneVector", 5, 16, 2, 32, false, true},
                                     AttentionCase{"Odd", 3, 17, 3, 16, false, false},
                                     AttentionCase{"Norms", 7, 13, 2, 48, true, true},
                                     AttentionCase{"Long", 2, 101, 3, 32, true, false},
                                     AttentionCase{"OneImage", 1, 70, 2, 16, true, true},
                                     AttentionCase{"ManyRows", 130, 18, 1, 16, false, true})),
    test::sizes_name<AttentionCase>);

using FusedAttentionOnLevel = test::LevelTest;
INSTANTIATE_TEST_SUITE_P(Levels, FusedAttentionOnLevel, test::every_level(), test::level_name);

TEST_P(FusedAttentionOnLevel, AgreesWithLibtorch) {
  at::manual_seed(5);
  for (const auto& sizes : {AttentionCase{"Norms", 3, 13, 2, 48, true, true},
                            AttentionCase{"Odd", 2, 37, 3, 16, false, false}}) {
    const auto inputs = attention_inputs(sizes);
    for (const auto precision : test::kKernelPrecisions) {
      SCOPED_TRACE(sizes.name + " in " + enum_name(precision));
      expect_agreement_of(sizes, precision, inputs);
    }
  }
}

/// Sequences of different lengths: single ones, and more than a block of the backward pass holds.
PackedSequences many_lengths() {
  return {.runs = {{.count = 3, .length = 5},
                   {.count = 1, .length = 17},
                   {.count = 30, .length = 21},
                   {.count = 2, .length = 70}}};
}

/// plain_attention() run after run.
torch::Tensor plain_runs(const Tensors& in, const AttentionCase& sizes) {
  const auto packed = many_lengths();
  const auto x = split_runs(in[0], packed);
  const auto residuals = in[7].defined() ? split_runs(in[7], packed) : Tensors(x.size());
  Tensors out;
  for (size_t run = 0; run < x.size(); ++run) {
    auto own = in;
    own[0] = x[run];
    own[7] = residuals[run];
    auto own_sizes = sizes;
    own_sizes.batch = packed.runs[run].count;
    own_sizes.tokens = packed.runs[run].length;
    out.push_back(plain_attention(own, own_sizes));
  }
  return joined_runs(out);  // [1, tokens, dim]
}

TEST_P(FusedAttentionOnLevel, OfSequencesOfDifferentLengthsAgreesWithLibtorch) {
  at::manual_seed(6);
  const int64_t tokens = many_lengths().tokens();
  for (const auto& sizes : {AttentionCase{"Norms", 1, tokens, 2, 48, true, true},
                            AttentionCase{"Plain", 1, tokens, 3, 16, false, false}}) {
    const Operator packed = [&sizes](const Tensors& in) {
      return attention(in[0], {in[1], in[2], in[3], in[4], in[5], in[6], 1e-6, sizes.heads},
                       Precision::kFloat32, in[7], many_lengths());
    };
    SCOPED_TRACE(sizes.name);
    const auto inputs = attention_inputs(sizes);
    expect_agreement(
        packed, [&sizes](const Tensors& in) { return plain_runs(in, sizes); }, inputs,
        Precision::kFloat32);
    expect_determinism(packed, inputs);
  }
}

using FusedAttention = test::PrecisionTest;
INSTANTIATE_TEST_SUITE_P(Precisions, FusedAttention, test::every_precision(), test::precision_name);

TEST_P(FusedAttention, FrozenInputsLeaveTheOtherGradientsAsTheyAre) {
  const AttentionCase sizes{"", 5, 17, 3, 16, true, true};
  expect_freezing(fused_attention(sizes.heads, GetParam()), attention_inputs(sizes),
                  {{0}, {3}, {1, 4}, {2, 4}, {4}, {5}, {7, 6}});
}

TEST(FusedAttentionValues, AreFp32ForProductsOfFp32) {
  auto inputs = attention_inputs({"", 2, 5, 1, 16, false, false});
  inputs[0] = inputs[0].to(torch::kBFloat16);
  EXPECT_THROW(fused_attention(1, Precision::kFloat32)(inputs), c10::ValueError);
}

TEST(FusedAttentionSizes, AreShortSequencesOfWholeVectors) {
  AttentionParameters parameters{};
  parameters.qkv_weight = torch::zeros({3 * 64, 64});
  parameters.proj_weight = torch::zeros({64, 64});
  parameters.heads = 2;
  EXPECT_TRUE(takes_attention(parameters, 50));
  EXPECT_FALSE(takes_attention(parameters, 5000));
  parameters.heads = 8;  // 8 channels per head
  EXPECT_FALSE(takes_attention(parameters, 50));
}

}  // namespace softmoe::fused::attention_test
