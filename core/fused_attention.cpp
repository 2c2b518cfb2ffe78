#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include "core/fused_memory.h"
#include "core/fused_ops.h"
#include "core/kernels/attention.h"
#include "core/kernels/gemm.h"
#include "core/tensor_check.h"
#include "core/thread_team.h"
#include "core/weight_gradient.h"

namespace softmoe {
namespace {

using kernels::Bf16;
using kernels::Pair;

/// Rows that at least go through the linear maps together.
constexpr int64_t kChunkRows = 64;
/// Longest sequence: the scores of one head take tokens^2 * 8 bytes of the second-level cache.
constexpr int64_t kMaxTokens = 288;

/// Sizes of one call.
struct AttentionCall {
  int64_t batch;
  kernels::AttentionShape image;

  int64_t rows() const { return batch * image.tokens; }
  /// Images whose rows go through the linear maps together.
  int64_t group() const { return (kChunkRows + image.tokens - 1) / image.tokens; }
};

AttentionCall call_of(const torch::Tensor& x, int64_t heads, double eps) {
  return {.batch = x.size(0),
          .image = {.tokens = x.size(1),
                    .heads = heads,
                    .head_dim = x.size(2) / heads,
                    .norm_eps = static_cast<float>(eps)}};
}

/// What the backward pass needs of the forward pass, bf16.
struct Kept {
  torch::Tensor x;      // [batch, tokens, dim]
  torch::Tensor qkv;    // [batch, tokens, 3 dim]
  torch::Tensor mixed;  // [batch, tokens, dim]
};

torch::Tensor forward_all(const torch::Tensor& x, const AttentionParameters& parameters,
                          const torch::Tensor& residual, Kept& kept) {
  const auto call = call_of(x, parameters.heads, parameters.norm_eps);
  const int64_t tokens = call.image.tokens;
  const int64_t dim = call.image.dim();
  const auto input = plain(x);
  const auto bf16 = torch::dtype(torch::kBFloat16);
  const bool converts = input.scalar_type() != torch::kBFloat16;
  kept.x = converts ? at::empty(x.sizes(), bf16) : input;
  kept.qkv = at::empty({call.batch, tokens, 3 * dim}, bf16);
  kept.mixed = at::empty(x.sizes(), bf16);
  const auto rest = residual.defined() ? residual.contiguous() : residual;
  auto out = at::empty(x.sizes(), rest.defined() ? torch::kFloat32 : torch::kBFloat16);

  const int64_t scratch_size = kernels::round_up(kernels::attention_scratch(call.image), 16);
  const int64_t threads = at::get_num_threads();
  Arena& arena = thread_arena();
  arena.reset(Arena::room<Pair>(kernels::packed_size(dim, 3 * dim)) +
              Arena::room<Pair>(kernels::packed_size(dim, dim)) +
              Arena::room<float>(threads * scratch_size));
  auto* const packed_qkv = arena.take<Pair>(kernels::packed_size(dim, 3 * dim));
  auto* const packed_proj = arena.take<Pair>(kernels::packed_size(dim, dim));
  auto* const scratch = arena.take<float>(threads * scratch_size);
  const auto x_source = source_of(input);
  const auto qkv_weight = source_of(parameters.qkv_weight);
  const auto proj_weight = source_of(parameters.proj_weight);
  const auto* const qkv_bias = fp32_or_null(parameters.qkv_bias);
  const auto* const proj_bias = fp32_or_null(parameters.proj_bias);
  const auto* const residual_rows = fp32_or_null(rest);
  const kernels::QkNorm norm{fp32_or_null(parameters.q_norm), fp32_or_null(parameters.k_norm)};
  auto* const x_kept = bf16_of(kept.x);
  auto* const qkv = bf16_of(kept.qkv);
  auto* const mixed = bf16_of(kept.mixed);
  const auto target = target_of(out);

  run_team([&](const Team& team) {
    const auto qkv_columns = team.share(3 * dim, kernels::kPanelColumns);
    kernels::pack_transposed(qkv_weight, dim, dim, qkv_columns.first, qkv_columns.last, packed_qkv);
    const auto proj_columns = team.share(dim, kernels::kPanelColumns);
    kernels::pack_transposed(proj_weight, dim, dim, proj_columns.first, proj_columns.last,
                             packed_proj);
    team.barrier();
    const auto images = team.share(call.batch);
    for (int64_t image = images.first; image < images.last; image += call.group()) {
      const int64_t count = std::min(call.group(), images.last - image);
      const int64_t row = image * tokens;
      const int64_t rows = count * tokens;
      if (converts) {
        kernels::to_bf16(x_source.offset(row * dim), dim, rows, dim, x_kept + row * dim, dim);
      }
      kernels::gemm({rows, 3 * dim, dim / 2}, kernels::left_rows(x_kept + row * dim, dim),
                    packed_qkv, qkv_bias, /*residual=*/nullptr, {.bf16 = qkv + row * 3 * dim},
                    3 * dim);
      for (int64_t index = 0; index < count; ++index) {
        const int64_t first = row + index * tokens;
        kernels::attention_forward(call.image, norm, qkv + first * 3 * dim, mixed + first * dim,
                                   scratch + team.rank * scratch_size);
      }
      kernels::gemm({rows, dim, dim / 2}, kernels::left_rows(mixed + row * dim, dim), packed_proj,
                    proj_bias, residual_rows != nullptr ? residual_rows + row * dim : nullptr,
                    target.offset(row * dim), dim);
    }
  });
  return out;
}

/// Gradients of one call.
struct Gradients {
  torch::Tensor x;
  torch::Tensor qkv_weight;
  torch::Tensor qkv_bias;
  torch::Tensor proj_weight;
  torch::Tensor proj_bias;
  torch::Tensor norms;  // [batch, 2, head_dim], one summand an image
};

/// Plain memory of the backward pass.
struct BackwardJob {
  kernels::QkNorm norm;
  kernels::Source qkv_weight;
  kernels::Source proj_weight;
  const Bf16* x;
  const Bf16* qkv;
  const Bf16* mixed;
  kernels::Source d_out;
  kernels::Target d_x;
  Gradients* gradients;
};

/// Scratch memory of the backward pass, for one block of images.
struct BackwardScratch {
  Pair* packed_qkv;
  Pair* packed_proj;
  Bf16* d_out;       // [rows, dim]
  Bf16* d_mixed;     // [rows, dim]
  Bf16* d_qkv;       // [rows, 3 dim]
  float* attention;  // one part a thread
  int64_t attention_size;
  std::array<WeightGradientScratch, 2> weights;
};

/// Images that the backward pass holds at a time.
int64_t block_images(const AttentionCall& call) {
  return std::min(call.batch, std::max<int64_t>(1, kGradientRows / call.image.tokens));
}

BackwardScratch take_backward(Arena& arena, const AttentionCall& call) {
  const int64_t dim = call.image.dim();
  const int64_t rows = block_images(call) * call.image.tokens;
  const int64_t threads = at::get_num_threads();
  const int64_t attention_size = kernels::round_up(kernels::attention_scratch(call.image), 16);
  arena.reset(Arena::room<Pair>(kernels::packed_size(3 * dim, dim)) +
              Arena::room<Pair>(kernels::packed_size(dim, dim)) +
              2 * Arena::room<Bf16>(rows * dim) + Arena::room<Bf16>(rows * 3 * dim) +
              Arena::room<float>(threads * attention_size) +
              weight_gradient_room(rows, 3 * dim, dim) + weight_gradient_room(rows, dim, dim));
  return {.packed_qkv = arena.take<Pair>(kernels::packed_size(3 * dim, dim)),
          .packed_proj = arena.take<Pair>(kernels::packed_size(dim, dim)),
          .d_out = arena.take<Bf16>(rows * dim),
          .d_mixed = arena.take<Bf16>(rows * dim),
          .d_qkv = arena.take<Bf16>(rows * 3 * dim),
          .attention = arena.take<float>(threads * attention_size),
          .attention_size = attention_size,
          .weights = {take_weight_gradient_scratch(arena, rows, 3 * dim, dim),
                      take_weight_gradient_scratch(arena, rows, dim, dim)}};
}

/// Gradients of the values of images [block, block + count); `d_out` are the same images' rows.
void backward_images(const Team& team, const AttentionCall& call, const BackwardJob& job,
                     int64_t block, int64_t count, const Bf16* d_out,
                     const BackwardScratch& scratch) {
  const int64_t tokens = call.image.tokens;
  const int64_t dim = call.image.dim();
  const auto& norms = job.gradients->norms;
  float* const d_norms = norms.defined() ? norms.data_ptr<float>() : nullptr;
  const auto images = team.share(count);
  for (int64_t image = images.first; image < images.last; image += call.group()) {
    const int64_t group = std::min(call.group(), images.last - image);
    const int64_t row = image * tokens;
    const int64_t rows = group * tokens;
    const int64_t source_row = block * tokens + row;
    if (job.d_out.bf16 == nullptr) {
      kernels::to_bf16(job.d_out.offset(source_row * dim), dim, rows, dim,
                       scratch.d_out + row * dim, dim);
    }
    kernels::gemm({rows, dim, dim / 2}, kernels::left_rows(d_out + row * dim, dim),
                  scratch.packed_proj, /*bias=*/nullptr, /*residual=*/nullptr,
                  {.bf16 = scratch.d_mixed + row * dim}, dim);
    for (int64_t index = image; index < image + group; ++index) {
      const int64_t first = index * tokens;
      float* const d_norm =
          d_norms != nullptr ? d_norms + (block + index) * 2 * call.image.head_dim : nullptr;
      kernels::attention_backward(call.image, job.norm,
                                  job.qkv + (block * tokens + first) * 3 * dim,
                                  scratch.d_mixed + first * dim, scratch.d_qkv + first * 3 * dim,
                                  d_norm, scratch.attention + team.rank * scratch.attention_size);
    }
    kernels::gemm({rows, dim, 3 * dim / 2},
                  kernels::left_rows(scratch.d_qkv + row * 3 * dim, 3 * dim), scratch.packed_qkv,
                  /*bias=*/nullptr, /*residual=*/nullptr, job.d_x.offset(source_row * dim), dim);
  }
}

void backward_all(const AttentionCall& call, const BackwardJob& job) {
  const int64_t tokens = call.image.tokens;
  const int64_t dim = call.image.dim();
  const auto scratch = take_backward(thread_arena(), call);
  float* const d_qkv_weight = job.gradients->qkv_weight.data_ptr<float>();
  float* const d_qkv_bias = job.gradients->qkv_bias.data_ptr<float>();
  float* const d_proj_weight = job.gradients->proj_weight.data_ptr<float>();
  float* const d_proj_bias = job.gradients->proj_bias.data_ptr<float>();
  run_team([&](const Team& team) {
    const auto columns = team.share(dim, kernels::kPanelColumns);
    kernels::pack_rows(job.qkv_weight, dim, 3 * dim, columns.first, columns.last,
                       scratch.packed_qkv);
    kernels::pack_rows(job.proj_weight, dim, dim, columns.first, columns.last, scratch.packed_proj);
    team.barrier();
    const int64_t step = block_images(call);
    for (int64_t block = 0; block < call.batch; block += step) {
      const int64_t count = std::min(step, call.batch - block);
      const int64_t at = block * tokens * dim;
      const Bf16* const d_out = job.d_out.bf16 != nullptr ? job.d_out.bf16 + at : scratch.d_out;
      backward_images(team, call, job, block, count, d_out, scratch);
      team.barrier();
      weight_gradients(team, count * tokens,
                       {{{scratch.d_qkv, 3 * dim, job.x + at, dim, d_qkv_weight, d_qkv_bias},
                         {d_out, dim, job.mixed + at, dim, d_proj_weight, d_proj_bias}}},
                       scratch.weights, /*accumulate=*/block > 0);
    }
  });
}

class AttentionFunction : public torch::autograd::Function<AttentionFunction> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& qkv_weight, const torch::Tensor& qkv_bias,
                               const torch::Tensor& proj_weight, const torch::Tensor& proj_bias,
                               const std::optional<torch::Tensor>& q_norm,
                               const std::optional<torch::Tensor>& k_norm, double norm_eps,
                               int64_t heads, const std::optional<torch::Tensor>& residual) {
    Kept kept;
    auto out = forward_all(x,
                           {.qkv_weight = qkv_weight,
                            .qkv_bias = qkv_bias,
                            .proj_weight = proj_weight,
                            .proj_bias = proj_bias,
                            .q_norm = tensor_of(q_norm),
                            .k_norm = tensor_of(k_norm),
                            .norm_eps = norm_eps,
                            .heads = heads},
                           tensor_of(residual), kept);
    context->save_for_backward({kept.x, kept.qkv, kept.mixed, qkv_weight, proj_weight,
                                tensor_of(q_norm), tensor_of(k_norm)});
    context->saved_data["norm_eps"] = norm_eps;
    context->saved_data["heads"] = heads;
    context->saved_data["x_is_bf16"] = x.scalar_type() == torch::kBFloat16;
    context->saved_data["has_residual"] = residual.has_value();
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list d_outputs) {
    const auto saved = context->get_saved_variables();
    const auto& x = saved[0];
    const auto call = call_of(x, context->saved_data["heads"].toInt(),
                              context->saved_data["norm_eps"].toDouble());
    const bool x_is_bf16 = context->saved_data["x_is_bf16"].toBool();
    const int64_t dim = call.image.dim();
    Gradients gradients{.x = at::empty(x.sizes(), x_is_bf16 ? torch::kBFloat16 : torch::kFloat32),
                        .qkv_weight = at::empty({3 * dim, dim}, torch::kFloat32),
                        .qkv_bias = at::empty({3 * dim}, torch::kFloat32),
                        .proj_weight = at::empty({dim, dim}, torch::kFloat32),
                        .proj_bias = at::empty({dim}, torch::kFloat32),
                        .norms = {}};
    if (saved[5].defined()) {
      gradients.norms = at::zeros({call.batch, 2, call.image.head_dim}, torch::kFloat32);
    }
    const auto d_out = plain(d_outputs[0]);
    backward_all(call, {.norm = {fp32_or_null(saved[5]), fp32_or_null(saved[6])},
                        .qkv_weight = source_of(saved[3]),
                        .proj_weight = source_of(saved[4]),
                        .x = bf16_of(saved[0]),
                        .qkv = bf16_of(saved[1]),
                        .mixed = bf16_of(saved[2]),
                        .d_out = source_of(d_out),
                        .d_x = target_of(gradients.x),
                        .gradients = &gradients});
    torch::Tensor d_q_norm;
    torch::Tensor d_k_norm;
    if (gradients.norms.defined()) {
      const auto sums = gradients.norms.sum(0);  // [2, head_dim]
      d_q_norm = sums[0].clone();
      d_k_norm = sums[1].clone();
    }
    const bool has_residual = context->saved_data["has_residual"].toBool();
    return {gradients.x,
            gradients.qkv_weight,
            gradients.qkv_bias,
            gradients.proj_weight,
            gradients.proj_bias,
            d_q_norm,
            d_k_norm,
            {},
            {},
            has_residual ? d_outputs[0] : torch::Tensor()};
  }
};

}  // namespace

bool fused_attention_takes(const AttentionParameters& parameters, int64_t tokens) {
  const int64_t dim = parameters.qkv_weight.size(1);
  return tokens <= kMaxTokens && dim % (16 * parameters.heads) == 0 &&
         parameters.qkv_weight.scalar_type() == torch::kFloat32 &&
         parameters.qkv_weight.is_contiguous() && parameters.proj_weight.is_contiguous();
}

torch::Tensor fused_attention(const torch::Tensor& x, const AttentionParameters& parameters,
                              const torch::Tensor& residual) {
  check_shape("fused_attention: x", x, {-1, -1, parameters.qkv_weight.size(1)});
  TORCH_CHECK_VALUE(fused_attention_takes(parameters, x.size(1)), "fused_attention: ", x.size(1),
                    " tokens, ", parameters.heads, " heads of ", x.size(2), " channels in all");
  TORCH_CHECK_VALUE(!residual.defined() || residual.sizes() == x.sizes(), "fused_attention: x ",
                    x.sizes(), ", residual ", residual.sizes());
  const auto rest = residual.defined() ? residual.to(torch::kFloat32) : residual;
  if (!at::GradMode::is_enabled()) {
    Kept kept;
    return forward_all(x, parameters, rest, kept);
  }
  return AttentionFunction::apply(x, parameters.qkv_weight, parameters.qkv_bias,
                                  parameters.proj_weight, parameters.proj_bias,
                                  optional_of(parameters.q_norm), optional_of(parameters.k_norm),
                                  parameters.norm_eps, parameters.heads, optional_of(rest));
}

}  // namespace softmoe
