#include "ops/attention.h"

#include "ops/operator_checks.h"
#include "runtime/autocast_guard.h"

namespace softmoe::attention_test {

using test::all_close;
using test::relative_error;

constexpr int64_t kHeads = 3;
constexpr int64_t kDim = 48;

AttentionParameters parameters_of(bool qk_norm, torch::Dtype dtype = torch::kFloat32) {
  const double scale = 1.0 / std::sqrt(static_cast<double>(kDim));
  return {.qkv_weight = (torch::randn({3 * kDim, kDim}) * scale).to(dtype),
          .qkv_bias = torch::randn({3 * kDim}).to(dtype),
          .proj_weight = (torch::randn({kDim, kDim}) * scale).to(dtype),
          .proj_bias = torch::randn({kDim}).to(dtype),
          .q_norm = qk_norm ? torch::randn({kDim / kHeads}).to(dtype) : torch::Tensor(),
          .k_norm = qk_norm ? torch::randn({kDim / kHeads}).to(dtype) : torch::Tensor(),
          .norm_eps = 1e-6,
          .heads = kHeads};
}

AttentionParameters in_fp64(AttentionParameters parameters) {
  for (auto* tensor : {&parameters.qkv_weight, &parameters.qkv_bias, &parameters.proj_weight,
                       &parameters.proj_bias, &parameters.q_norm, &parameters.k_norm}) {
    *tensor = tensor->defined() ? tensor->to(torch::kFloat64) : *tensor;
  }
  return parameters;
}

TEST(AttentionOp, AgreesOnAllLevelsWithAndWithoutAutocast) {
  at::manual_seed(4);
  for (const bool qk_norm : {false, true}) {
    const auto parameters = parameters_of(qk_norm);
    const auto x = torch::randn({2, 7, kDim});
    const auto residual = torch::randn_like(x);
    const auto expected =
        attention(x.to(torch::kFloat64), in_fp64(parameters), {}, residual.to(torch::kFloat64));
    for (const auto level : kernels::present_levels()) {
      const kernels::ScopedLevel scoped(level);
      EXPECT_LT(relative_error(attention(x, parameters, {}, residual), expected), 1e-6);
      const AutocastGuard autocast(torch::kCPU, torch::kBFloat16);
      EXPECT_LT(relative_error(attention(x, parameters, {}, residual), expected), 1.2e-2);
    }
  }
}

TEST(AttentionOp, DropsWeightsAndOutputsInTrainingOnly) {
  at::manual_seed(4);
  const auto parameters = parameters_of(/*qk_norm=*/false);
  const auto x = torch::randn({2, 7, kDim});
  const auto plain = attention(x, parameters);
  for (const auto level : kernels::present_levels()) {
    const kernels::ScopedLevel scoped(level);
    const AutocastGuard autocast(torch::kCPU, torch::kFloat32);
    EXPECT_TRUE(all_close(attention(x, parameters, {.weights = 0.5, .output = 0.5}), plain));
    const auto dropped = attention(x, parameters, {.output = 0.5, .training = true});
    EXPECT_NEAR(dropped.eq(0).to(torch::kFloat32).mean().item<double>(), 0.5, 0.1);
    EXPECT_FALSE(torch::equal(attention(x, parameters, {.weights = 0.5, .training = true}), plain));
  }
}

TEST(AttentionOp, AttendsHeadByHead) {
  at::manual_seed(4);
  const auto queries = torch::randn({2, 3, 4, 6}, torch::kFloat64);
  const auto keys = torch::randn({2, 3, 5, 6}, torch::kFloat64);
  const auto values = torch::randn({2, 3, 5, 6}, torch::kFloat64);
  const auto scores = queries.matmul(keys.transpose(2, 3)) / std::sqrt(6.0);
  EXPECT_TRUE(all_close(attend(queries, keys, values), scores.softmax(-1).matmul(values)));
}

/// Two sequences of 3 tokens and one of 5, packed.
PackedSequences three_sequences(bool causal) {
  return {.runs = {{.count = 2, .length = 3}, {.count = 1, .length = 5}}, .causal = causal};
}

TEST(AttentionOp, OfPackedSequencesIsThatOfEachByItself) {
  at::manual_seed(5);
  const auto parameters = parameters_of(/*qk_norm=*/true);
  const auto x = torch::randn({1, 11, kDim});
  const auto residual = torch::randn_like(x);
  for (const auto level : kernels::present_levels()) {
    const kernels::ScopedLevel scoped(level);
    for (const bool causal : {false, true}) {
      const auto packed = attention(x, parameters, {}, residual, three_sequences(causal));
      int64_t first = 0;
      for (const int64_t length : {3, 3, 5}) {
        for (int64_t token = 0; token < length; ++token) {
          // A causal token sees its sequence up to itself; others see all of it.
          const int64_t seen = causal ? token + 1 : length;
          const auto own = attention(x.narrow(1, first, seen), parameters, {},
                                     residual.narrow(1, first, seen));  // [1, seen, dim]
          EXPECT_TRUE(all_close(packed.select(1, first + token), own.select(1, token)));
        }
        first += length;
      }
    }
  }
}

TEST(AttentionOp, OfPackedSequencesOfOneLengthIsThatOfABatch) {
  at::manual_seed(6);
  const auto parameters = parameters_of(/*qk_norm=*/false);
  const auto x = torch::randn({2, 7, kDim});
  const auto packed =
      attention(x.view({1, 14, kDim}), parameters, {}, {}, {.runs = {{.count = 2, .length = 7}}});
  EXPECT_TRUE(all_close(packed.view({2, 7, kDim}), attention(x, parameters)));
}

TEST(AttentionOp, RefusesTokensThatAreNotThoseOfTheSequences) {
  const auto parameters = parameters_of(/*qk_norm=*/false);
  for (const auto& x : {torch::randn({1, 10, kDim}), torch::randn({11, 1, kDim})}) {
    EXPECT_THROW(attention(x, parameters, {}, {}, three_sequences(false)), c10::ValueError);
  }
}

}  // namespace softmoe::attention_test
