// Updates of parameters.

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/values/kernel_values.h"

namespace softmoe::kernels::values {

void add_update_values(const KernelTable& table, Results& results) {
  for (const int64_t count : {37, 3}) {
    const auto name = std::to_string(count) + " values";
    const auto gradient = random_floats(count, 1);
    auto parameter = random_floats(count, 2);
    auto mean = random_floats(count, 3);
    auto mean_square = random_floats(count, 4);
    std::transform(mean_square.begin(), mean_square.end(), mean_square.begin(),
                   [](float value) { return std::abs(value); });
    const AdamWConstants step{.decay = 0.99F,
                              .rate = 0.03F,
                              .beta1 = 0.9F,
                              .beta2 = 0.95F,
                              .inverse_correction = 1.7F,
                              .eps = 1e-3F,
                              .gradient_factor = 0.8F};
    table.adamw(step, count, gradient.data(), parameter.data(), {.fp32 = mean.data()},
                mean_square.data());
    results.add_sums("adamw parameter " + name, parameter);
    results.add_sums("adamw mean " + name, mean);
    results.add_sums("adamw mean_square " + name, mean_square);
    std::vector<uint8_t> mean_codes(static_cast<size_t>(count));
    std::iota(mean_codes.begin(), mean_codes.end(), uint8_t{107});
    auto square_codes = mean_codes;
    float mean_scale = 0.7F;
    float square_scale = 0.4F;
    table.adamw_8bit(step, count, gradient.data(), parameter.data(),
                     {mean_codes.data(), &mean_scale}, {square_codes.data(), &square_scale});
    results.add_sums("adamw_8bit parameter " + name, parameter);
    results.add_sums("adamw_8bit scales " + name, {mean_scale, square_scale});
    results.add_exact("adamw_8bit mean " + name, mean_codes);
    results.add_exact("adamw_8bit mean_square " + name, square_codes);
    std::vector<float> direction(gradient.size());
    const double squares = table.muon_direction({.momentum = 0.9F, .gradient_factor = 0.8F}, count,
                                                gradient.data(), mean.data(), direction.data());
    results.add_sums("muon_direction mean " + name, mean);
    results.add_sums("muon_direction direction " + name, direction);
    results.add_sums("muon_direction squares " + name, {static_cast<float>(squares)});
    table.move(0.99F, 0.03F, count, {.fp32 = direction.data()}, parameter.data());
    results.add_sums("move " + name, parameter);
    results.add_sums("sum_of_squares " + name,
                     {static_cast<float>(table.sum_of_squares(gradient.data(), count))});
    auto values = random_floats(count + 1, 5);  // one value beyond stays as it is
    table.multiply(values.data(), count, 0.3F);
    results.add_exact("multiply " + name, values);
  }
}

}  // namespace softmoe::kernels::values
