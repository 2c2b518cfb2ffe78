#include "kernels/packed_attention.h"

#include <cmath>

#include "kernels/kernel_test.h"

namespace softmoe::kernels::packed_attention_test {

using namespace softmoe::test;  // NOLINT: plain C++ to compare with

constexpr double kNormEps = 1e-6;

class PackedAttentionTest : public testing::TestWithParam<std::tuple<Level, Precision>> {
 protected:
  void SetUp() override { level_.emplace(std::get<Level>(GetParam())); }
  static Precision precision() { return std::get<Precision>(GetParam()); }
  static bool is_bf16() { return precision() == Precision::kBFloat16; }
  double tolerance() const { return is_bf16() ? 1.5e-2 : kFp32Tolerance; }

  /// attend() of all heads: [tokens, dim] from `qkv` [tokens, 3 dim].
  Floats run(const PackedAttention& attention, const Matrix& qkv) const {
    const Values values(precision(), qkv.values);
    Values mixed(precision(), static_cast<size_t>(attention.tokens * attention.dim()));
    std::vector<Unit> scratch(static_cast<size_t>(table().attend_scratch(attention)));
    for (int64_t head = 0; head < attention.heads; ++head) {
      table().attend(attention, head, values.source(), qkv.columns, mixed.target(), attention.dim(),
                     scratch.data());
    }
    return mixed.fp32();
  }

 private:
  std::optional<ScopedLevel> level_;
};

/// Columns [first, first + values.columns) of `target` become `values`.
void put(const Matrix& values, int64_t first, Matrix& target) {
  for (int64_t row = 0; row < values.rows; ++row) {
    for (int64_t column = 0; column < values.columns; ++column) {
      target.at(row, first + column) = values.at(row, column);
    }
  }
}

Matrix scaled(Matrix values, double factor) {
  for (auto& value : values.values) {
    value *= factor;
  }
  return values;
}

TEST_P(PackedAttentionTest, MixesValuesBySoftmaxOfScores) {
  for (const int64_t tokens : {1, 6, 33, 197}) {
    constexpr int64_t kHeads = 3;
    constexpr int64_t kHeadDim = 22;
    const PackedAttention attention{
        .precision = precision(), .tokens = tokens, .heads = kHeads, .head_dim = kHeadDim};
    auto qkv = random_matrix(tokens, 3 * attention.dim(), 1);
    Matrix expected(tokens, attention.dim());
    for (int64_t head = 0; head < kHeads; ++head) {
      const auto part = [&](int64_t kind) {
        const int64_t first = kind * attention.dim() + head * kHeadDim;
        return qkv.slice(first, first + kHeadDim);
      };
      const auto scores =
          scaled(part(0) * part(1).transposed(), 1.0 / std::sqrt(static_cast<double>(kHeadDim)));
      put(row_softmax(scores) * part(2), head * kHeadDim, expected);
    }
    // The queries carry the factor of the scores.
    put(scaled(qkv.slice(0, attention.dim()), query_factor(attention)), 0, qkv);
    EXPECT_TRUE(near(run(attention, qkv), expected.values, tolerance())) << tokens;
  }
}

TEST_P(PackedAttentionTest, OfCausalTextsSeesNoLaterToken) {
  for (const int64_t tokens : {1, 3, 34, 197}) {
    constexpr int64_t kHeadDim = 22;
    const PackedAttention attention{.precision = precision(),
                                    .tokens = tokens,
                                    .heads = 2,
                                    .head_dim = kHeadDim,
                                    .causal = true};
    auto qkv = random_matrix(tokens, 3 * attention.dim(), 4);
    Matrix expected(tokens, attention.dim());
    for (int64_t head = 0; head < attention.heads; ++head) {
      const auto part = [&](int64_t kind) {
        const int64_t first = kind * attention.dim() + head * kHeadDim;
        return qkv.slice(first, first + kHeadDim);
      };
      auto scores =
          scaled(part(0) * part(1).transposed(), 1.0 / std::sqrt(static_cast<double>(kHeadDim)));
      for (int64_t query = 0; query < tokens; ++query) {
        for (int64_t key = query + 1; key < tokens; ++key) {
          scores.at(query, key) = -1e30;
        }
      }
      put(row_softmax(scores) * part(2), head * kHeadDim, expected);
    }
    put(scaled(qkv.slice(0, attention.dim()), query_factor(attention)), 0, qkv);
    EXPECT_TRUE(near(run(attention, qkv), expected.values, tolerance())) << tokens;
  }
}

TEST_P(PackedAttentionTest, NormalisesQueriesAndKeysOfEachHead) {
  constexpr int64_t kTokens = 37;
  constexpr int64_t kHeads = 2;
  constexpr int64_t kHeadDim = 20;
  PackedAttention attention{.precision = precision(),
                            .tokens = kTokens,
                            .heads = kHeads,
                            .head_dim = kHeadDim,
                            .norm_eps = static_cast<float>(kNormEps)};
  const auto qkv = random_matrix(kTokens, 3 * attention.dim(), 2);
  const auto weights = random_matrix(2, kHeadDim, 3);
  // The norm of the queries carries the factor of the scores.
  auto query_norm = weights.transposed().slice(0, 1);
  const auto key_norm = weights.transposed().slice(1, 2);
  const auto fp32_query_norm = floats(scaled(query_norm, query_factor(attention)).values);
  const auto fp32_key_norm = floats(key_norm.values);
  attention.query_norm = fp32_query_norm.data();
  attention.key_norm = fp32_key_norm.data();
  Matrix expected(kTokens, attention.dim());
  for (int64_t head = 0; head < kHeads; ++head) {
    const auto part = [&](int64_t kind) {
      const int64_t first = kind * attention.dim() + head * kHeadDim;
      return qkv.slice(first, first + kHeadDim);
    };
    const auto queries = layer_norm(part(0), query_norm.values, {}, kNormEps);
    const auto keys = layer_norm(part(1), key_norm.values, {}, kNormEps);
    const auto scores =
        scaled(queries * keys.transposed(), 1.0 / std::sqrt(static_cast<double>(kHeadDim)));
    put(row_softmax(scores) * part(2), head * kHeadDim, expected);
  }
  EXPECT_TRUE(near(run(attention, qkv), expected.values, is_bf16() ? 3e-2 : 1e-5));
}

INSTANTIATE_TEST_SUITE_P(Levels, PackedAttentionTest,
                         testing::Combine(every_level(), testing::ValuesIn(kKernelPrecisions)),
                         [](const auto& item) {
                           return enum_name(std::get<Level>(item.param)) + "_" +
                                  enum_name(std::get<Precision>(item.param));
                         });

}  // namespace softmoe::kernels::packed_attention_test
