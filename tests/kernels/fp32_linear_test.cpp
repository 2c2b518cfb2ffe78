#include "kernels/fp32_linear.h"

#include <array>

#include "kernels/kernel_test.h"

namespace softmoe::kernels::fp32_linear_test {

using namespace softmoe::test;  // NOLINT: plain C++ to compare with

using Fp32LinearTest = LevelTest;
INSTANTIATE_TEST_SUITE_P(Levels, Fp32LinearTest, every_level(), level_name);

/// Rows beyond those that one block of a kernel takes are among them.
constexpr std::array<LinearShape, 4> kShapes{{{.rows = 1, .inputs = 16, .outputs = 32},
                                              {.rows = 7, .inputs = 48, .outputs = 16},
                                              {.rows = 131, .inputs = 32, .outputs = 80},
                                              {.rows = 263, .inputs = 64, .outputs = 48}}};

/// One call's factors, plain and in fp32.
struct LinearExample {
  explicit LinearExample(const LinearShape& shape)
      : x(random_matrix(shape.rows, shape.inputs, 1)),
        weight(random_matrix(shape.outputs, shape.inputs, 2)),
        d_y(random_matrix(shape.rows, shape.outputs, 3)),
        fp32_x(floats(x.values)),
        fp32_weight(floats(weight.values)),
        fp32_d_y(floats(d_y.values)),
        packed(static_cast<size_t>(table().packed_linear_size(shape))) {}

  Matrix x;
  Matrix weight;
  Matrix d_y;
  Floats fp32_x;
  Floats fp32_weight;
  Floats fp32_d_y;
  Floats packed;
};

TEST_P(Fp32LinearTest, MultipliesByTheTransposedWeight) {
  for (const auto& shape : kShapes) {
    LinearExample example(shape);
    table().pack_linear(shape, example.fp32_weight.data(), example.packed.data());
    const auto expected = example.x * example.weight.transposed();
    Floats y(expected.values.size());
    const int64_t middle = shape.rows / 2;
    for (const auto& [first, last] : {std::pair{int64_t{0}, middle}, {middle, shape.rows}}) {
      table().fp32_linear(shape, first, last, example.fp32_x.data(), example.packed.data(),
                          y.data());
    }
    EXPECT_TRUE(near(y, expected.values, kFp32Tolerance)) << shape.rows;
  }
}

TEST_P(Fp32LinearTest, GradientOfTheInputs) {
  for (const auto& shape : kShapes) {
    LinearExample example(shape);
    table().pack_linear_transposed(shape, example.fp32_weight.data(), example.packed.data());
    const auto expected = example.d_y * example.weight;
    Floats d_x(expected.values.size());
    const int64_t middle = shape.rows / 3;
    for (const auto& [first, last] : {std::pair{int64_t{0}, middle}, {middle, shape.rows}}) {
      table().fp32_linear_d_x(shape, first, last, example.fp32_d_y.data(), example.packed.data(),
                              d_x.data());
    }
    EXPECT_TRUE(near(d_x, expected.values, kFp32Tolerance)) << shape.rows;
  }
}

TEST_P(Fp32LinearTest, GradientOfTheWeight) {
  for (const auto& shape : kShapes) {
    const LinearExample example(shape);
    const auto expected = example.d_y.transposed() * example.x;
    Floats scratch(static_cast<size_t>(table().fp32_linear_scratch(shape)));
    Floats d_weight(expected.values.size(), 7.0F);
    for (const auto& [first, last] :
         {std::pair{int64_t{0}, int64_t{16}}, {int64_t{16}, shape.outputs}}) {
      table().fp32_linear_d_weight(shape, first, last, example.fp32_x.data(),
                                   example.fp32_d_y.data(), scratch.data(), d_weight.data());
    }
    EXPECT_TRUE(near(d_weight, expected.values, kFp32Tolerance)) << shape.rows;
  }
}

}  // namespace softmoe::kernels::fp32_linear_test
