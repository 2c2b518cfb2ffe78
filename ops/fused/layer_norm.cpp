#include "ops/fused/layer_norm.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include "core/tensor_check.h"
#include "kernels/table.h"
#include "ops/tensor_pointers.h"
#include "runtime/thread_team.h"

namespace softmoe::fused {
namespace {

/// Rows whose gradients of weight and bias are summed up before they are added to the others': a
/// constant, so that the sum does not depend on the number of threads.
constexpr int64_t kNormRows = 64;

kernels::LayerNormShape shape_of(const torch::Tensor& x, const torch::Tensor& weight,
                                 const torch::Tensor& bias, double eps) {
  const int64_t dim = x.size(-1);
  return {.rows = x.numel() / dim,
          .dim = dim,
          .eps = static_cast<float>(eps),
          .weight = weight.const_data_ptr<float>(),
          .bias = fp32_or_null(bias)};
}

/// The shape of rows [first, last) only.
kernels::LayerNormShape part_of(kernels::LayerNormShape shape, int64_t first, int64_t last) {
  shape.rows = last - first;
  return shape;
}

torch::Tensor forward_all(const torch::Tensor& x, const kernels::LayerNormShape& shape,
                          torch::Dtype dtype, const torch::Tensor& statistics) {
  auto y = at::empty(x.sizes(), dtype);  // [..., dim]
  const auto [source, target] = std::pair(source_of(x), target_of(y));
  float* kept = statistics.data_ptr<float>();
  run_team([&](const ThreadTeam& team) {
    const auto [first, last] = team.share(shape.rows);
    kernels::table().layer_norm_forward(part_of(shape, first, last),
                                        source.offset(first * shape.dim),
                                        target.offset(first * shape.dim), kept + 2 * first);
  });
  return y;
}

/// Sums the gradients of weight and bias of all chunks into the first, `sums` [chunks, 2, dim].
void add_chunks(const ThreadTeam& team, int64_t chunks, int64_t dim, float* sums) {
  const auto columns = team.share(2 * dim, /*multiple=*/16);
  for (int64_t chunk = 1; chunk < chunks; ++chunk) {
    for (int64_t column = columns.first; column < columns.last; ++column) {
      sums[column] += sums[chunk * 2 * dim + column];
    }
  }
}

class LayerNormFunction : public torch::autograd::Function<LayerNormFunction> {
 public:
  static torch::autograd::variable_list forward(torch::autograd::AutogradContext* context,
                                                const torch::Tensor& x, const torch::Tensor& weight,
                                                const std::optional<torch::Tensor>& bias,
                                                double eps, bool reduced, bool with_skip) {
    const auto rows = contiguous_values(x);
    const auto shape = shape_of(rows, weight, tensor_of(bias), eps);
    const auto statistics = at::empty({shape.rows, 2}, torch::kFloat32);  // [rows, 2]
    auto y = forward_all(rows, shape, reduced ? torch::kBFloat16 : torch::kFloat32, statistics);
    context->save_for_backward({rows, weight, statistics});
    context->saved_data["has_bias"] = bias.has_value();
    return with_skip ? torch::autograd::variable_list{y, x} : torch::autograd::variable_list{y};
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list d_outputs) {
    const auto saved = context->get_saved_variables();
    const auto& [x, weight, statistics] = std::tie(saved[0], saved[1], saved[2]);
    const auto d_y = contiguous_values(d_outputs[0]);
    const auto d_skip = d_outputs.size() > 1 && d_outputs[1].defined()
                            ? d_outputs[1].to(torch::kFloat32).contiguous()
                            : torch::Tensor();
    const auto shape = shape_of(x, weight, /*bias=*/{}, /*eps=*/0.0);
    const int64_t chunks = (shape.rows + kNormRows - 1) / kNormRows;
    auto d_x = at::empty_like(x);                                       // [..., dim]
    auto partial = at::zeros({chunks, 2, shape.dim}, torch::kFloat32);  // [chunks, 2, dim]
    const bool has_bias = context->saved_data["has_bias"].toBool();
    const bool is_learned = context->needs_input_grad({{1, has_bias ? 3U : 2U}});
    const auto* const kept = statistics.const_data_ptr<float>();
    const auto* const skip = fp32_or_null(d_skip);
    float* const sums = partial.data_ptr<float>();
    const auto [source, d_source, target] =
        std::tuple(source_of(x), source_of(d_y), target_of(d_x));
    run_team([&](const ThreadTeam& team) {
      const auto share = team.share(chunks);
      for (int64_t chunk = share.first; chunk < share.last; ++chunk) {
        const int64_t first = chunk * kNormRows;
        const int64_t at = first * shape.dim;
        kernels::table().layer_norm_backward(
            part_of(shape, first, std::min(shape.rows, first + kNormRows)), source.offset(at),
            kept + 2 * first, d_source.offset(at), skip != nullptr ? skip + at : nullptr,
            target.offset(at), sums + chunk * 2 * shape.dim);
      }
      if (is_learned) {
        team.barrier();
        add_chunks(team, chunks, shape.dim, sums);
      }
    });
    if (!is_learned) {
      return {d_x, {}, {}, {}, {}, {}};
    }
    const auto d_affine = partial.select(0, 0);  // [2, dim]
    return {d_x, d_affine[0].clone(), has_bias ? d_affine[1].clone() : torch::Tensor(), {}, {}, {}};
  }
};

}  // namespace

bool takes_layer_norm(const torch::Tensor& weight) {
  return weight.scalar_type() == torch::kFloat32;
}

torch::Tensor layer_norm(const torch::Tensor& x, const torch::Tensor& weight,
                         const torch::Tensor& bias, double eps, torch::Dtype dtype) {
  check_shape("layer_norm: weight", weight, {x.size(-1)});
  return LayerNormFunction::apply(x, weight, optional_of(bias), eps, dtype == torch::kBFloat16,
                                  /*with_skip=*/false)[0];
}

NormedBranch layer_norm_branch(const torch::Tensor& x, const torch::Tensor& weight,
                               const torch::Tensor& bias, double eps, torch::Dtype dtype) {
  check_shape("layer_norm: weight", weight, {x.size(-1)});
  const auto outputs = LayerNormFunction::apply(x, weight, optional_of(bias), eps,
                                                dtype == torch::kBFloat16, /*with_skip=*/true);
  return {.normed = outputs[0], .skip = outputs[1]};
}

}  // namespace softmoe::fused
