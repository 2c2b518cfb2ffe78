#include "kernels/layer_norm.h"

#include "kernels/kernel_test.h"

namespace softmoe::kernels::layer_norm_test {

using namespace softmoe::test;  // NOLINT: plain C++ to compare with

using LayerNormTest = LevelTest;
INSTANTIATE_TEST_SUITE_P(Levels, LayerNormTest, every_level(), level_name);

constexpr int64_t kRows = 7;
constexpr double kEps = 1e-5;

/// One call and the plain values of its arguments.
struct Example {
  explicit Example(int64_t dim)
      : x(random_matrix(kRows, dim, 1) + Matrix(kRows, dim, 3.0)),
        weight(random_matrix(1, dim, 2)),
        bias(random_matrix(1, dim, 3)),
        fp32_weight(floats(weight.values)),
        fp32_bias(floats(bias.values)) {
    // bf16 cannot represent every sum with the offset.
    const auto rounded = floats(bf16s(x.values));
    x.values.assign(rounded.begin(), rounded.end());
  }

  LayerNormShape shape(bool has_bias) const {
    return {.rows = kRows,
            .dim = x.columns,
            .eps = static_cast<float>(kEps),
            .weight = fp32_weight.data(),
            .bias = has_bias ? fp32_bias.data() : nullptr};
  }
  size_t size() const { return x.values.size(); }

  Matrix x;
  Matrix weight;
  Matrix bias;
  Floats fp32_weight;
  Floats fp32_bias;
};

TEST_P(LayerNormTest, NormalisesRowsOfAnyWidth) {
  for (const int64_t dim : {2, 16, 37, 80}) {
    for (const bool has_bias : {false, true}) {
      const Example example(dim);
      const auto expected = layer_norm(example.x, example.weight.values,
                                       has_bias ? example.bias.values : Doubles{}, kEps);
      const auto x = floats(example.x.values);
      const auto x_bf16 = bf16s(example.x.values);
      Floats y(example.size());
      Bf16s y_bf16(example.size());
      Floats statistics(2 * kRows);
      const auto shape = example.shape(has_bias);
      table().layer_norm_forward(shape, {.fp32 = x.data()}, {.fp32 = y.data()}, statistics.data());
      EXPECT_TRUE(near(y, expected.values, 1e-5)) << dim;
      table().layer_norm_forward(shape, {.bf16 = x_bf16.data()}, {.bf16 = y_bf16.data()},
                                 statistics.data());
      EXPECT_TRUE(near(floats(y_bf16), expected.values, kBf16Tolerance)) << dim;
    }
  }
}

TEST_P(LayerNormTest, GradientsAreThoseOfFiniteDifferences) {
  for (const int64_t dim : {5, 16, 37}) {
    const Example example(dim);
    const auto d_y = random_matrix(kRows, dim, 4);
    const auto loss = [&](const Matrix& x, const Matrix& weight, const Matrix& bias) {
      return dot(layer_norm(x, weight.values, bias.values, kEps), d_y);
    };
    const auto d_x =
        gradient([&](const Matrix& x) { return loss(x, example.weight, example.bias); }, example.x);
    const auto d_weight =
        gradient([&](const Matrix& weight) { return loss(example.x, weight, example.bias); },
                 example.weight);
    const auto d_bias = gradient(
        [&](const Matrix& bias) { return loss(example.x, example.weight, bias); }, example.bias);

    const auto x = floats(example.x.values);
    const auto fp32_d_y = floats(d_y.values);
    const auto shape = example.shape(true);
    Floats y(example.size());
    Floats statistics(2 * kRows);
    table().layer_norm_forward(shape, {.fp32 = x.data()}, {.fp32 = y.data()}, statistics.data());
    Floats actual(example.size());
    Floats d_affine(static_cast<size_t>(2 * dim), 1.0F);  // what is there is added to
    table().layer_norm_backward(shape, {.fp32 = x.data()}, statistics.data(),
                                {.fp32 = fp32_d_y.data()},
                                /*d_skip=*/nullptr, {.fp32 = actual.data()}, d_affine.data());
    EXPECT_TRUE(near(actual, d_x, 1e-5)) << dim;
    auto expected = d_weight;
    expected.insert(expected.end(), d_bias.begin(), d_bias.end());
    for (auto& value : expected) {
      value += 1.0;
    }
    EXPECT_TRUE(near(d_affine, expected, 1e-5)) << dim;

    // The gradient of a residual branch is added.
    const auto skip = random_matrix(kRows, dim, 5);
    const auto fp32_skip = floats(skip.values);
    table().layer_norm_backward(shape, {.fp32 = x.data()}, statistics.data(),
                                {.fp32 = fp32_d_y.data()}, fp32_skip.data(),
                                {.fp32 = actual.data()}, d_affine.data());
    auto with_skip = skip;
    for (size_t index = 0; index < d_x.size(); ++index) {
      with_skip.values[index] += d_x[index];
    }
    EXPECT_TRUE(near(actual, with_skip.values, 1e-5)) << dim;
  }
}

}  // namespace softmoe::kernels::layer_norm_test
