// Soft dispatch and combine.

#include <array>
#include <utility>

#include "kernels/values/kernel_values.h"

namespace softmoe::kernels::values {
namespace {

/// One panel with room left, two panels, and more slots than are held at a time.
constexpr std::array<MixingShape, 3> kShapes{
    {{.batch = 2, .tokens = 7, .experts = 5, .slots_per_expert = 3, .dim = 48, .eps = 1e-2F},
     {.batch = 3, .tokens = 13, .experts = 11, .slots_per_expert = 5, .dim = 16, .eps = 1e-2F},
     {.batch = 1, .tokens = 5, .experts = 67, .slots_per_expert = 4, .dim = 16, .eps = 1e-2F}}};

/// The values of slots [rows, slots] in `panels` [panels, rows, 32]: what slots do not fill in the
/// last panel is unspecified.
Floats specified(const MixingShape& shape, int64_t rows, const float* panels) {
  Floats values;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t slot = 0; slot < shape.slots(); ++slot) {
      values.push_back(panels[(slot / 32 * rows + row) * 32 + slot % 32]);
    }
  }
  return values;
}

std::string name_of(const MixingShape& shape, Precision precision) {
  return enum_name(precision) + " " + std::to_string(shape.slots()) + " slots";
}

/// The three layouts of keys and a call of dispatch, with gradients.
void add_dispatch(const KernelTable& table, const MixingShape& shape, Precision precision,
                  Results& results) {
  const auto name = name_of(shape, precision);
  const auto keys = random_floats(shape.dim * shape.slots(), 1);
  auto panels = unwritten_floats(shape.keys());
  auto transposed = unwritten_floats(shape.keys());
  auto unpacked = unwritten_floats(shape.dim * shape.slots());
  table.pack_keys(shape, keys.data(), panels.data());
  table.transpose_keys(shape, panels.data(), transposed.data());
  table.unpack_keys(shape, panels.data(), unpacked.data());
  results.add_exact("pack_keys " + name, panels);
  results.add_exact("transpose_keys " + name, transposed);
  results.add_exact("unpack_keys " + name, unpacked);

  const int64_t image_size = shape.tokens * shape.dim;
  const int64_t rows_size = shape.batch * shape.slots() * shape.dim;
  const auto x = random_floats(shape.batch * image_size, 2);
  const auto d_inputs = Array::random(precision, rows_size, 3);
  const auto d_logits = random_floats(shape.logits(), 4);
  auto logits = unwritten_floats(shape.logits());
  auto inputs = Array::unwritten(precision, rows_size);
  auto d_x = unwritten_floats(shape.batch * image_size);
  auto d_raw = unwritten_floats(shape.batch * shape.logits());
  const int64_t size = table.mixing_scratch(shape);
  results.add_exact("mixing_scratch " + name, std::vector<int64_t>{size});
  auto scratch = unwritten_floats(size);
  for (int64_t image = 0; image < shape.batch; ++image) {
    const auto image_name = name + " image " + std::to_string(image);
    const float* const image_x = x.data() + image * image_size;
    float* const image_d_raw = d_raw.data() + image * shape.logits();
    table.soft_dispatch_forward(shape, image, image_x, panels.data(), logits.data(),
                                inputs.target(), scratch.data());
    results.add_sums("soft_dispatch_forward logits " + image_name,
                     specified(shape, shape.tokens, logits.data()));
    // With and without gradients of the logits.
    table.soft_dispatch_backward(
        shape, image, image_x, transposed.data(), logits.data(),
        {.d_expert_inputs = d_inputs.source(), .d_logits = image == 0 ? d_logits.data() : nullptr},
        d_x.data() + image * image_size, image_d_raw, scratch.data());
    results.add_sums("soft_dispatch_backward raw " + image_name,
                     specified(shape, shape.tokens, image_d_raw), precision);
  }
  results.add("soft_dispatch_forward " + name, inputs);
  results.add_sums("soft_dispatch_backward " + name, d_x, precision);
  auto d_keys = unwritten_floats(shape.keys());
  // In two parts, as two threads would.
  for (const auto& [first, last] : {std::pair<int64_t, int64_t>{0, 8}, {8, shape.dim}}) {
    table.soft_keys_backward(shape, {0, shape.panels(), first, last}, x.data(), d_raw.data(),
                             d_keys.data());
  }
  results.add_sums("soft_keys_backward " + name, specified(shape, shape.dim, d_keys.data()),
                   precision);
}

void add_combine(const KernelTable& table, const MixingShape& shape, Precision precision,
                 Results& results) {
  const auto name = name_of(shape, precision);
  const int64_t rows_size = shape.batch * shape.slots() * shape.dim;
  const auto logits = random_floats(shape.logits(), 5);
  const auto outputs = Array::random(precision, rows_size, 6);
  const auto d_out = random_floats(shape.tokens * shape.dim, 7);
  auto out = unwritten_floats(shape.tokens * shape.dim);
  auto d_outputs = Array::unwritten(precision, rows_size);
  auto d_logits = unwritten_floats(shape.logits());
  auto statistics = unwritten_floats(2 * shape.tokens);
  const RowSoftmax softmax{.maxima = statistics.data(),
                           .inverse_sums = statistics.data() + shape.tokens};
  auto scratch = unwritten_floats(table.mixing_scratch(shape));
  for (int64_t image = 0; image < shape.batch; ++image) {
    const auto image_name = name + " image " + std::to_string(image);
    table.soft_combine_forward(shape, image, logits.data(), outputs.source(), softmax, out.data(),
                               scratch.data());
    results.add_sums("soft_combine_forward " + image_name, out, precision);
    results.add_sums("soft_combine_forward statistics " + image_name, statistics);
    table.soft_combine_backward(shape, image, logits.data(), softmax, outputs.source(), out.data(),
                                d_out.data(), d_outputs.target(), d_logits.data(), scratch.data());
    results.add_sums("soft_combine_backward logits " + image_name,
                     specified(shape, shape.tokens, d_logits.data()), precision);
  }
  results.add("soft_combine_backward " + name, d_outputs);
}

}  // namespace

void add_soft_mixing_values(const KernelTable& table, Results& results) {
  for (const auto precision : kPrecisions) {
    for (const auto& shape : kShapes) {
      add_dispatch(table, shape, precision, results);
      add_combine(table, shape, precision, results);
    }
  }
}

}  // namespace softmoe::kernels::values
