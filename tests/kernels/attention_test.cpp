#include "kernels/attention.h"

#include <array>
#include <cmath>

#include "kernels/kernel_test.h"

namespace softmoe::kernels::attention_test {

using namespace softmoe::test;  // NOLINT: plain C++ to compare with

class AttentionTest : public KernelTest {};
INSTANTIATE_TEST_SUITE_P(Levels, AttentionTest, every_level(), level_name);

constexpr double kNormEps = 1e-6;

/// Softmax attention of all heads, [tokens, dim] from [tokens, 3 dim]; `norms` [2, head_dim] are
/// the weights of QK-norm, without rows if there is none.
Matrix attention(const AttentionShape& shape, const Matrix& qkv, const Matrix& norms) {
  Matrix mixed(shape.tokens, shape.dim());
  for (int64_t head = 0; head < shape.heads; ++head) {
    const auto part = [&](int64_t kind) {
      const int64_t first = kind * shape.dim() + head * shape.head_dim;
      const auto rows = qkv.slice(first, first + shape.head_dim);
      if (kind == 2 || norms.rows == 0) {
        return rows;
      }
      const auto weight = norms.transposed().slice(kind, kind + 1);
      return layer_norm(rows, weight.values, {}, kNormEps);
    };
    auto scores = part(0) * part(1).transposed();
    for (auto& score : scores.values) {
      score /= std::sqrt(static_cast<double>(shape.head_dim));
    }
    const auto result = row_softmax(scores) * part(2);
    for (int64_t token = 0; token < shape.tokens; ++token) {
      for (int64_t channel = 0; channel < shape.head_dim; ++channel) {
        mixed.at(token, head * shape.head_dim + channel) = result.at(token, channel);
      }
    }
  }
  return mixed;
}

struct Example {
  Example(int64_t tokens, int64_t heads, int64_t head_dim, bool has_norms)
      : shape{.tokens = tokens,
              .heads = heads,
              .head_dim = head_dim,
              .norm_eps = static_cast<float>(kNormEps)},
        qkv(random_matrix(tokens, 3 * shape.dim(), 1)),
        norms(has_norms ? random_matrix(2, head_dim, 2) : Matrix(0, head_dim)),
        bf16_qkv(bf16s(qkv.values)),
        fp32_norms(floats(norms.values)),
        scratch(static_cast<size_t>(table().attention_scratch(shape))) {}

  QkNorm norm() const {
    return norms.rows == 0
               ? QkNorm{}
               : QkNorm{.query = fp32_norms.data(), .key = fp32_norms.data() + shape.head_dim};
  }

  AttentionShape shape;
  Matrix qkv;
  Matrix norms;
  Bf16s bf16_qkv;
  Floats fp32_norms;
  Floats scratch;
};

TEST_P(AttentionTest, MixValuesBySoftmaxOfScores) {
  for (const bool has_norms : {false, true}) {
    for (const int64_t tokens : {1, 5, 16, 33}) {
      Example example(tokens, 3, 16, has_norms);
      const auto expected = attention(example.shape, example.qkv, example.norms);
      Bf16s mixed(expected.values.size());
      // The heads in two calls, as two threads would.
      for (const auto& heads : {HeadRange{0, 1}, HeadRange{1, 3}}) {
        table().attention_forward(example.shape, heads, example.norm(),
                                  {.bf16 = example.bf16_qkv.data()}, {.bf16 = mixed.data()},
                                  example.scratch.data());
      }
      EXPECT_TRUE(near(floats(mixed), expected.values, kBf16Tolerance)) << tokens;
    }
  }
}

TEST_P(AttentionTest, GradientsAreThoseOfFiniteDifferences) {
  for (const bool has_norms : {false, true}) {
    Example example(17, 2, 32, has_norms);
    const auto& shape = example.shape;
    const auto d_mixed = random_matrix(shape.tokens, shape.dim(), 3);
    const auto d_qkv = gradient(
        [&](const Matrix& qkv) { return dot(attention(shape, qkv, example.norms), d_mixed); },
        example.qkv);
    const auto bf16_d_mixed = bf16s(d_mixed.values);
    Bf16s actual(d_qkv.size());
    const auto norm_size = static_cast<size_t>(2 * shape.head_dim);
    Floats d_norm(2 * norm_size);
    table().attention_backward(shape, {0, 2}, example.norm(), {.bf16 = example.bf16_qkv.data()},
                               {.bf16 = bf16_d_mixed.data()}, {.bf16 = actual.data()},
                               has_norms ? d_norm.data() : nullptr, example.scratch.data());
    EXPECT_TRUE(near(floats(actual), d_qkv, kBf16Tolerance)) << has_norms;
    if (has_norms) {
      const auto expected = gradient(
          [&](const Matrix& norms) { return dot(attention(shape, example.qkv, norms), d_mixed); },
          example.norms);
      Floats sum(norm_size);  // over the heads
      for (size_t at = 0; at < norm_size; ++at) {
        sum[at] = d_norm[at] + d_norm[norm_size + at];
      }
      EXPECT_TRUE(near(sum, expected, 1e-5));
    }
  }
}

}  // namespace softmoe::kernels::attention_test
