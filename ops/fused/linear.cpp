#include "ops/fused/linear.h"

#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>

#include "kernels/table.h"
#include "kernels/types.h"
#include "runtime/arena.h"
#include "runtime/thread_team.h"

namespace softmoe::fused {
namespace {

kernels::LinearShape linear_shape(const torch::Tensor& x, const torch::Tensor& weight) {
  return {.rows = x.numel() / x.size(-1), .inputs = weight.size(1), .outputs = weight.size(0)};
}

class LinearFunction : public torch::autograd::Function<LinearFunction> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& weight) {
    const auto input = x.contiguous();
    const auto factors = weight.contiguous();
    const auto shape = linear_shape(input, factors);
    auto sizes = x.sizes().vec();
    sizes.back() = shape.outputs;
    auto y = at::empty(sizes, torch::kFloat32);  // [..., outputs]
    auto packed = at::empty({kernels::table().packed_linear_size(shape)}, torch::kFloat32);
    kernels::table().pack_linear(shape, factors.const_data_ptr<float>(), packed.data_ptr<float>());
    run_team([&](const ThreadTeam& team) {
      const auto rows = team.share(shape.rows, /*multiple=*/8);
      kernels::table().fp32_linear(shape, rows.first, rows.last, input.const_data_ptr<float>(),
                                   packed.const_data_ptr<float>(), y.data_ptr<float>());
    });
    context->save_for_backward({input, factors});
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list d_outputs) {
    const auto saved = context->get_saved_variables();
    const auto& [x, weight] = std::tie(saved[0], saved[1]);
    const auto shape = linear_shape(x, weight);
    const auto d_y = d_outputs[0].contiguous();
    torch::Tensor d_x;
    torch::Tensor packed;
    if (context->needs_input_grad(0)) {
      d_x = at::empty_like(x);
      packed = at::empty({kernels::table().packed_linear_size(shape)}, torch::kFloat32);
      kernels::table().pack_linear_transposed(shape, weight.const_data_ptr<float>(),
                                              packed.data_ptr<float>());
    }
    auto d_weight = context->needs_input_grad(1) ? at::empty_like(weight) : torch::Tensor();
    run_team([&](const ThreadTeam& team) {
      if (d_x.defined()) {
        const auto rows = team.share(shape.rows, /*multiple=*/8);
        kernels::table().fp32_linear_d_x(shape, rows.first, rows.last, d_y.const_data_ptr<float>(),
                                         packed.const_data_ptr<float>(), d_x.data_ptr<float>());
      }
      if (d_weight.defined()) {
        const int64_t room = kernels::table().fp32_linear_scratch(shape);
        Arena& arena = thread_arena();
        arena.reset(Arena::room<float>(room));
        const auto outputs = team.share(shape.outputs, /*multiple=*/16);
        kernels::table().fp32_linear_d_weight(
            shape, outputs.first, outputs.last, x.const_data_ptr<float>(),
            d_y.const_data_ptr<float>(), arena.take<float>(room), d_weight.data_ptr<float>());
      }
    });
    return {d_x, d_weight};
  }
};

}  // namespace

bool takes_linear(const torch::Tensor& x, const torch::Tensor& weight) {
  return x.scalar_type() == torch::kFloat32 && weight.scalar_type() == torch::kFloat32 &&
         weight.size(0) % 16 == 0 && weight.size(1) % 16 == 0;
}

torch::Tensor exact_linear(const torch::Tensor& x, const torch::Tensor& weight) {
  TORCH_CHECK_VALUE(
      weight.dim() == 2 && x.size(-1) == weight.size(1) && x.numel() > 0 && takes_linear(x, weight),
      "exact_linear: x ", x.sizes(), ", weight ", weight.sizes());
  return LinearFunction::apply(x, weight);
}

}  // namespace softmoe::fused
