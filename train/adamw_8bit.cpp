#include "train/adamw_8bit.h"

#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "ops/quantized_moments.h"
#include "train/adamw.h"

namespace softmoe {
namespace {

constexpr int64_t kMinQuantized = 4096;

bool is_quantized(const torch::Tensor& parameter) { return parameter.numel() >= kMinQuantized; }

torch::Tensor zero_codes(const NamedParameter& parameter) {
  return is_quantized(parameter.tensor) ? at::zeros_like(parameter.tensor, torch::kUInt8)
                                        : at::zeros_like(parameter.tensor);
}

/// Codes whose scale is 0 stand for 0.
torch::Tensor zero_scales(const NamedParameter& parameter) {
  const auto& tensor = parameter.tensor;
  return is_quantized(tensor)
             ? at::zeros({moment_blocks(tensor.numel())}, tensor.options().dtype(torch::kFloat32))
             : torch::Tensor();
}

}  // namespace

AdamW8Bit::AdamW8Bit(const std::vector<NamedParameter>& parameters, const OptimizerOptions& options)
    : Optimizer(parameters, options,
                {{.name = "exp_avg", .zeros = zero_codes},
                 {.name = "exp_avg_sq", .zeros = zero_codes},
                 {.name = "exp_avg_scale", .zeros = zero_scales},
                 {.name = "exp_avg_sq_scale", .zeros = zero_scales}}),
      options_(options) {}

void AdamW8Bit::update(const Group& group, double lr) {
  const auto step = adamw_step(options_, lr, group.decay, group.steps, group.gradient_factor);
  UpdatedTensors quantized{.parameters = {}, .gradients = {}, .state = {{}, {}, {}, {}}};
  UpdatedTensors exact{.parameters = {}, .gradients = {}, .state = {{}, {}}};
  for (size_t i = 0; i < group.tensors.parameters.size(); ++i) {
    auto& part = is_quantized(group.tensors.parameters[i]) ? quantized : exact;
    part.parameters.push_back(group.tensors.parameters[i]);
    part.gradients.push_back(group.tensors.gradients[i]);
    for (size_t kind = 0; kind < part.state.size(); ++kind) {
      part.state[kind].push_back(group.tensors.state[kind][i]);
    }
  }
  if (!exact.parameters.empty()) {
    adamw_update(step, exact);
  }
  if (!quantized.parameters.empty()) {
    adamw_8bit_update(step, quantized);
  }
}

}  // namespace softmoe
