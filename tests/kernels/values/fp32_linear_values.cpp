// The linear map of routers.

#include <array>
#include <utility>

#include "kernels/values/kernel_values.h"

namespace softmoe::kernels::values {

void add_fp32_linear_values(const KernelTable& table, Results& results) {
  // One panel of either side, several, and more rows than are held at a time.
  for (const auto& shape : {LinearShape{.rows = 7, .inputs = 16, .outputs = 32},
                            LinearShape{.rows = 19, .inputs = 80, .outputs = 48},
                            LinearShape{.rows = 263, .inputs = 32, .outputs = 48}}) {
    const auto name = std::to_string(shape.rows) + " rows";
    const auto x = random_floats(shape.rows * shape.inputs, 1);
    const auto weight = random_floats(shape.outputs * shape.inputs, 2);
    const auto d_y = random_floats(shape.rows * shape.outputs, 3);
    const int64_t size = table.packed_linear_size(shape);
    results.add_exact("packed_linear_size " + name, std::vector<int64_t>{size});
    auto packed = unwritten_floats(size);
    auto transposed = unwritten_floats(size);
    table.pack_linear(shape, weight.data(), packed.data());
    table.pack_linear_transposed(shape, weight.data(), transposed.data());
    results.add_exact("pack_linear " + name, packed);
    results.add_exact("pack_linear_transposed " + name, transposed);
    auto y = unwritten_floats(shape.rows * shape.outputs);
    auto d_x = unwritten_floats(shape.rows * shape.inputs);
    auto d_weight = unwritten_floats(shape.outputs * shape.inputs);
    const int64_t scratch_size = table.fp32_linear_scratch(shape);
    results.add_exact("fp32_linear_scratch " + name, std::vector<int64_t>{scratch_size});
    auto scratch = unwritten_floats(scratch_size);
    // In two parts, as two threads would.
    const int64_t middle = shape.rows / 3;
    for (const auto& [first, last] : {std::pair{int64_t{0}, middle}, {middle, shape.rows}}) {
      table.fp32_linear(shape, first, last, x.data(), packed.data(), y.data());
      table.fp32_linear_d_x(shape, first, last, d_y.data(), transposed.data(), d_x.data());
    }
    for (const auto& [first, last] : {std::pair<int64_t, int64_t>{0, 16}, {16, shape.outputs}}) {
      table.fp32_linear_d_weight(shape, first, last, x.data(), d_y.data(), scratch.data(),
                                 d_weight.data());
    }
    results.add_sums("fp32_linear " + name, y);
    results.add_sums("fp32_linear_d_x " + name, d_x);
    results.add_sums("fp32_linear_d_weight " + name, d_weight);
  }
}

}  // namespace softmoe::kernels::values
