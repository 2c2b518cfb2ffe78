#include "softmoe/sparse_rows.h"

#include "kernels/level.h"
#include "runtime/autocast_guard.h"
#include "softmoe/router.h"
#include "support/tensor_matcher.h"

namespace softmoe::sparse_rows_test {

using test::all_close;
using test::same_bits;
using test::Tolerance;

constexpr int64_t kBatch = 2;
constexpr int64_t kTokens = 5;
constexpr int64_t kExperts = 3;
constexpr int64_t kRows = 4;
constexpr int64_t kDim = 19;

/// Token 1 stands in no row, token 7 in a row of each expert; three rows are empty.
SparseRows example_rows(torch::Dtype gate_dtype = torch::kFloat32) {
  at::manual_seed(5);
  SparseRows rows;
  rows.token = torch::tensor({{7, 0, 3, -1}, {2, 7, -1, 9}, {-1, 8, 5, 7}}, torch::kInt64);
  rows.gate = torch::rand({kExperts, kRows}, gate_dtype) + 0.5;
  rows.batch = kBatch;
  rows.tokens = kTokens;
  return rows;
}

/// [experts * rows, batch * tokens], 1 where a row holds a token.
torch::Tensor one_hot(const SparseRows& rows) {
  const auto matrix = torch::zeros({kExperts * kRows, kBatch * kTokens}, torch::kFloat64);
  const auto token = rows.token.flatten();
  for (int64_t row = 0; row < token.size(0); ++row) {
    if (token[row].item<int64_t>() >= 0) {
      matrix[row][token[row]] = 1.0;
    }
  }
  return matrix;
}

Tolerance tolerance(torch::Dtype dtype) {
  return {.absolute = dtype == torch::kFloat64    ? 1e-14
                      : dtype == torch::kFloat32  ? 4e-6
                      : dtype == torch::kBFloat16 ? 5e-2
                                                  : 1e-2};
}

/// The central difference of sum(function(x) * weight) in every element of `x`.
template <typename Function>
torch::Tensor finite_differences(const torch::Tensor& x, const torch::Tensor& weight,
                                 const Function& function) {
  constexpr double kStep = 1e-5;
  auto gradient = torch::empty(x.numel(), torch::kFloat64);
  for (int64_t index = 0; index < x.numel(); ++index) {
    const auto moved = [&](double step) {
      auto other = x.detach().clone();
      other.view(-1)[index] += step;
      return (function(other) * weight).sum().template item<double>();
    };
    gradient[index] = (moved(kStep) - moved(-kStep)) / (2 * kStep);
  }
  return gradient.view(x.sizes());
}

class SparseRowsOf : public testing::TestWithParam<torch::Dtype> {};

TEST_P(SparseRowsOf, GatherCopiesTokens) {
  const auto rows = example_rows();
  const auto tokens = torch::randn({kBatch, kTokens, kDim}).to(GetParam()).requires_grad_();
  const auto inputs = gather_rows(tokens, rows);
  ASSERT_EQ(inputs.sizes(), torch::IntArrayRef({kExperts, kRows, kDim}));
  EXPECT_EQ(inputs.scalar_type(), GetParam());
  EXPECT_TRUE(inputs.isfinite().all().item<bool>());
  const auto used = (rows.token >= 0).unsqueeze(2);  // [experts, rows, 1]
  const auto matrix = one_hot(rows);
  const auto expected =
      matrix.matmul(tokens.detach().to(torch::kFloat64).flatten(0, 1)).view(inputs.sizes());
  EXPECT_TRUE(same_bits(inputs.detach() * used, expected.to(GetParam())));

  const auto d_inputs = torch::randn_like(inputs) * used;
  inputs.backward(d_inputs);
  const auto d_tokens =
      matrix.t().matmul(d_inputs.to(torch::kFloat64).flatten(0, 1)).view(tokens.sizes());
  EXPECT_TRUE(all_close(tokens.grad(), d_tokens.to(GetParam()), tolerance(GetParam())));
}

TEST_P(SparseRowsOf, ScatterSumsWhatIsGated) {
  auto rows = example_rows();
  rows.gate.requires_grad_();
  const auto outputs = torch::randn({kExperts, kRows, kDim}).to(GetParam()).requires_grad_();
  const auto tokens = scatter_rows(outputs, rows);
  ASSERT_EQ(tokens.sizes(), torch::IntArrayRef({kBatch, kTokens, kDim}));
  EXPECT_EQ(tokens.scalar_type(), GetParam());
  const auto matrix = one_hot(rows);
  const auto values = outputs.detach().to(torch::kFloat64).flatten(0, 1);           // [rows, dim]
  const auto gate = rows.gate.detach().to(torch::kFloat64).flatten().unsqueeze(1);  // [rows, 1]
  const auto expected = matrix.t().matmul(values * gate).view(tokens.sizes());
  EXPECT_TRUE(all_close(tokens, expected.to(GetParam()), tolerance(GetParam())));
  EXPECT_EQ(tokens[0][1].abs().max().item<double>(), 0.0);

  const auto d_tokens = torch::randn_like(tokens);
  tokens.backward(d_tokens);
  const auto d_rows = matrix.matmul(d_tokens.to(torch::kFloat64).flatten(0, 1));  // [rows, dim]
  EXPECT_TRUE(all_close(outputs.grad(), (d_rows * gate).view(outputs.sizes()).to(GetParam()),
                        tolerance(GetParam())));
  EXPECT_TRUE(all_close(rows.gate.grad(),
                        (d_rows * values).sum(1).view({kExperts, kRows}).to(torch::kFloat32),
                        {.absolute = 5 * tolerance(GetParam()).absolute}));
}

TEST_P(SparseRowsOf, ScatterWithoutGatesSums) {
  auto rows = example_rows();
  rows.gate.reset();
  const auto outputs = torch::randn({kExperts, kRows, kDim}).to(GetParam()).requires_grad_();
  const auto tokens = scatter_rows(outputs, rows);
  const auto matrix = one_hot(rows);
  const auto expected = matrix.t().matmul(outputs.detach().to(torch::kFloat64).flatten(0, 1));
  EXPECT_TRUE(
      all_close(tokens, expected.view(tokens.sizes()).to(GetParam()), tolerance(GetParam())));
  const auto d_tokens = torch::randn_like(tokens);
  tokens.backward(d_tokens);
  const auto d_rows = matrix.matmul(d_tokens.to(torch::kFloat64).flatten(0, 1));
  EXPECT_TRUE(same_bits(outputs.grad(), d_rows.view(outputs.sizes()).to(GetParam())));
}

// fp16 has no kernels and goes through the plain operators, as other devices do.
INSTANTIATE_TEST_SUITE_P(Dtypes, SparseRowsOf,
                         testing::Values(torch::kFloat32, torch::kBFloat16, torch::kFloat64,
                                         torch::kFloat16),
                         [](const auto& dtype) { return c10::toString(dtype.param); });

TEST(SparseRows, GradientsAreThoseOfFiniteDifferences) {
  const auto options = torch::dtype(torch::kFloat64);
  auto rows = example_rows(torch::kFloat64);
  const auto tokens = torch::randn({kBatch, kTokens, kDim}, options).requires_grad_();
  const auto outputs = torch::randn({kExperts, kRows, kDim}, options).requires_grad_();
  const auto gate = rows.gate.clone().requires_grad_();
  const auto d_inputs = torch::randn_like(outputs);
  const auto d_tokens = torch::randn_like(tokens);

  (gather_rows(tokens, rows) * d_inputs).sum().backward();
  EXPECT_TRUE(all_close(
      tokens.grad(),
      finite_differences(tokens, d_inputs, [&](const auto& x) { return gather_rows(x, rows); }),
      {.absolute = 1e-9}));

  const auto with_gate = [&](const torch::Tensor& x, const torch::Tensor& factors) {
    auto gated = rows;
    gated.gate = factors;
    return scatter_rows(x, gated);
  };
  (with_gate(outputs, gate) * d_tokens).sum().backward();
  EXPECT_TRUE(all_close(
      outputs.grad(),
      finite_differences(outputs, d_tokens, [&](const auto& x) { return with_gate(x, gate); }),
      {.absolute = 1e-9}));
  EXPECT_TRUE(all_close(
      gate.grad(),
      finite_differences(gate, d_tokens, [&](const auto& x) { return with_gate(outputs, x); }),
      {.absolute = 1e-9}));
}

TEST(SparseRows, AreBf16ForExpertsAndFp32ForTokensUnderAutocast) {
  if (!kernels::has(kernels::Need::kBf16)) {
    GTEST_SKIP() << "libtorch's operators are faster in bf16 on this processor";
  }
  auto rows = example_rows();
  rows.gate.requires_grad_();
  const auto tokens = torch::randn({kBatch, kTokens, kDim}).requires_grad_();
  const AutocastGuard autocast(torch::kCPU, torch::kBFloat16);
  const auto inputs = gather_rows(tokens, rows);
  EXPECT_EQ(inputs.scalar_type(), torch::kBFloat16);
  const auto out = scatter_rows(inputs, rows);
  EXPECT_EQ(out.scalar_type(), torch::kFloat32);
  const auto d_out = torch::randn_like(out);
  out.backward(d_out);
  EXPECT_EQ(tokens.grad().scalar_type(), torch::kFloat32);
  // A token's output is itself times the sum of its gates.
  const auto sums = torch::zeros({kBatch * kTokens})
                        .index_add(0, rows.token.flatten().clamp_min(0),
                                   (rows.gate.detach() * (rows.token >= 0)).flatten())
                        .view({kBatch, kTokens, 1});  // [batch, tokens, 1]
  EXPECT_TRUE(all_close(out, tokens.detach() * sums, {.absolute = 5e-2}));
  EXPECT_TRUE(all_close(tokens.grad(), d_out * sums, {.absolute = 5e-2}));
}

TEST(SparseRows, FrozenGatesGetNoGradient) {
  const auto rows = example_rows();
  const auto outputs = torch::randn({kExperts, kRows, kDim}).requires_grad_();
  scatter_rows(outputs, rows).sum().backward();
  const auto expected = rows.gate * (rows.token >= 0);  // [experts, rows]
  EXPECT_TRUE(same_bits(outputs.grad(),
                        expected.unsqueeze(2).expand({kExperts, kRows, kDim}).contiguous()));
}

TEST(SparseRows, FromPlacesKnowTheTokenAndGateOfEachRow) {
  // Token 0: expert 1 row 0 and expert 0 row 1; token 1: dropped; token 2: expert 1 row 1.
  const auto place = torch::tensor({{3, 1}, {-1, -1}, {-1, 4}}, torch::kInt64);
  const auto gate = torch::tensor({{0.1F, 0.2F}, {0.3F, 0.4F}, {0.5F, 0.6F}}).requires_grad_();
  const auto rows = rows_from_places(place, gate, /*experts=*/2, /*rows=*/3, /*batch=*/3);
  EXPECT_EQ(rows.batch, 3);
  EXPECT_EQ(rows.tokens, 1);
  EXPECT_TRUE(torch::equal(rows.token, torch::tensor({{-1, 0, -1}, {0, 2, -1}}, torch::kInt64)));
  EXPECT_TRUE(torch::equal(rows.gate, torch::tensor({{0.0F, 0.2F, 0.0F}, {0.1F, 0.6F, 0.0F}})));
  (rows.gate * torch::tensor({{1.0F, 2.0F, 3.0F}, {4.0F, 5.0F, 6.0F}})).sum().backward();
  EXPECT_TRUE(torch::equal(gate.grad(), torch::tensor({{4.0F, 2.0F}, {0.0F, 0.0F}, {0.0F, 5.0F}})));
}

TEST(SparseRows, RefuseOtherSizesAndTokensThatDoNotExist) {
  auto rows = example_rows();
  EXPECT_THROW(gather_rows(torch::zeros({kBatch, kTokens + 1, kDim}), rows), c10::ValueError);
  EXPECT_THROW(scatter_rows(torch::zeros({kExperts, kRows + 1, kDim}), rows), c10::ValueError);
  rows.token[0][0] = kBatch * kTokens;
  EXPECT_THROW(gather_rows(torch::zeros({kBatch, kTokens, kDim}), rows), c10::ValueError);
  EXPECT_THROW(scatter_rows(torch::zeros({kExperts, kRows, kDim}), rows), c10::ValueError);
}

TEST(SparseRows, RecordSharesAndWeightsOfExperts) {
  const auto rows = example_rows();
  RoutingRecord record;
  record.wants = {.weights = true, .scores = false, .load = true};
  record_rows(record, rows, {});
  ASSERT_EQ(record.dispatch.sizes(), torch::IntArrayRef({kBatch, kTokens, kExperts, 1}));
  EXPECT_EQ(record.dispatch.sum().item<double>(), 9.0);
  EXPECT_EQ(record.dispatch[1][2].sum().item<double>(), 3.0);  // token 7
  EXPECT_FLOAT_EQ(record.combine[1][4][1][0].item<float>(), rows.gate[1][3].item<float>());
  EXPECT_TRUE(all_close(record.load.load, torch::tensor({3, 3, 3}) / 9.0F));
  EXPECT_FLOAT_EQ(record.load.dropped.item<float>(), 0.3F);  // tokens 1, 4 and 6
}

TEST(SparseRows, OfExpertsHoldEveryTokenOnceInOrder) {
  const auto expert = torch::tensor({{2, 0, 2}, {2, 3, 0}}, torch::kInt64);
  const auto rows = rows_of_experts(expert, /*gate=*/{}, 5);
  EXPECT_EQ(rows.batch, 2);
  EXPECT_EQ(rows.tokens, 3);
  EXPECT_FALSE(rows.gate.defined());
  EXPECT_TRUE(same_bits(
      rows.token, torch::tensor({{1, 5, -1}, {-1, -1, -1}, {0, 2, 3}, {4, -1, -1}, {-1, -1, -1}},
                                torch::kInt64)));
}

TEST(SparseRows, OfExpertsThatAreNotThereAreRefused) {
  EXPECT_THROW(rows_of_experts(torch::tensor({{0, 3}}, torch::kInt64), /*gate=*/{}, 3),
               c10::ValueError);
}

}  // namespace softmoe::sparse_rows_test
