#include "ops/fused/weight_gradient.h"

#include <algorithm>

#include "kernels/table.h"

namespace softmoe::fused {

size_t weight_gradient_room(Precision precision, int64_t rows, int64_t outputs, int64_t inputs) {
  return Arena::room<kernels::Unit>(kernels::packed_size(precision, rows, outputs)) +
         Arena::room<kernels::Unit>(kernels::packed_size(precision, rows, inputs));
}

WeightGradientScratch take_weight_gradient_scratch(Arena& arena, Precision precision, int64_t rows,
                                                   int64_t outputs, int64_t inputs) {
  return {.left = arena.take<kernels::Unit>(kernels::packed_size(precision, rows, outputs)),
          .right = arena.take<kernels::Unit>(kernels::packed_size(precision, rows, inputs))};
}

void weight_gradients(const ThreadTeam& team, Precision precision, int64_t rows,
                      const std::array<WeightGradient, 2>& pair,
                      const std::array<WeightGradientScratch, 2>& scratch, bool accumulate) {
  for (size_t index = 0; index < pair.size(); ++index) {
    const auto& gradient = pair[index];
    if (!gradient.is_wanted()) {
      continue;
    }
    if (gradient.d_weight != nullptr) {
      const auto inputs = team.share(gradient.inputs, kernels::kPanelColumns);
      kernels::table().pack_rows(precision, gradient.input, gradient.inputs, rows, inputs.first,
                                 inputs.last, scratch[index].right);
    }
    const auto outputs = team.share(gradient.outputs, 16);
    if (!accumulate && gradient.d_bias != nullptr) {
      std::fill(gradient.d_bias + outputs.first, gradient.d_bias + outputs.last, 0.0F);
    }
    kernels::table().pack_left_transposed(precision, gradient.d_out, gradient.outputs, rows,
                                          outputs.first, outputs.last, scratch[index].left,
                                          gradient.d_bias);
  }
  team.barrier();
  for (size_t index = 0; index < pair.size(); ++index) {
    const auto& gradient = pair[index];
    if (gradient.d_weight == nullptr) {
      continue;
    }
    const auto outputs = team.share(gradient.outputs, 16);
    const auto mode = accumulate         ? kernels::OutputMode::kAdd
                      : gradient.streams ? kernels::OutputMode::kStream
                                         : kernels::OutputMode::kReplace;
    kernels::table().gemm_left_transposed(
        {precision, gradient.outputs, gradient.inputs, kernels::units_of(precision, rows)},
        outputs.first, outputs.last, scratch[index].left, scratch[index].right, mode,
        gradient.d_weight, gradient.inputs);
  }
  team.barrier();
}

}  // namespace softmoe::fused
