#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>

#include "core/fused_memory.h"
#include "core/fused_ops.h"
#include "core/kernels/gemm.h"
#include "core/tensor_check.h"
#include "core/thread_team.h"
#include "core/weight_gradient.h"

namespace softmoe {
namespace {

using kernels::Bf16;
using kernels::Pair;
using kernels::Source;
using kernels::Target;

/// Rows that go through both layers before the next ones do: their hidden values stay in the
/// second-level cache.
constexpr int64_t kChunkRows = 64;

/// Sizes of one expert's MLP.
struct MlpShape {
  int64_t experts;
  int64_t rows;
  int64_t dim;
  int64_t hidden;
  kernels::GeluKind gelu;
};

/// Memory of one expert in the forward pass.
struct ForwardJob {
  Source x;               // [rows, dim]
  Bf16* x_kept;           // [rows, dim], written where x is fp32
  Source fc1_weight;      // [hidden, dim]
  const float* fc1_bias;  // [hidden]
  Source fc2_weight;      // [dim, hidden]
  const float* fc2_bias;  // [dim]
  const float* residual;  // [rows, dim] or null
  Bf16* before;           // [rows, hidden], before the GELU, or null
  Target out;             // [rows, dim]
};

/// Memory of one expert in the backward pass.
struct BackwardJob {
  Source d_out;        // [rows, dim]
  const Bf16* x;       // [rows, dim]
  const Bf16* before;  // [rows, hidden]
  Source fc1_weight;
  Source fc2_weight;
  Target d_x;  // [rows, dim]
  float* d_fc1_weight;
  float* d_fc1_bias;
  float* d_fc2_weight;
  float* d_fc2_bias;
};

struct PackedWeights {
  Pair* fc1;
  Pair* fc2;
};

size_t packed_room(const MlpShape& shape) {
  return Arena::room<Pair>(kernels::packed_size(shape.dim, shape.hidden)) +
         Arena::room<Pair>(kernels::packed_size(shape.hidden, shape.dim));
}

/// Rows that the backward pass holds at a time.
int64_t block_rows(const MlpShape& shape) { return std::min(shape.rows, kGradientRows); }

size_t backward_room(const MlpShape& shape) {
  const int64_t rows = block_rows(shape);
  return packed_room(shape) + Arena::room<Bf16>(rows * shape.dim) +
         2 * Arena::room<Bf16>(rows * shape.hidden) +
         weight_gradient_room(rows, shape.hidden, shape.dim) +
         weight_gradient_room(rows, shape.dim, shape.hidden);
}

PackedWeights take_packed(Arena& arena, const MlpShape& shape) {
  return {.fc1 = arena.take<Pair>(kernels::packed_size(shape.dim, shape.hidden)),
          .fc2 = arena.take<Pair>(kernels::packed_size(shape.hidden, shape.dim))};
}

void forward_expert(const Team& team, const MlpShape& shape, const ForwardJob& job,
                    const PackedWeights& packed, Bf16* hidden) {
  const int64_t dim = shape.dim;
  const auto hidden_share = team.share(shape.hidden, kernels::kPanelColumns);
  kernels::pack_transposed(job.fc1_weight, dim, dim, hidden_share.first, hidden_share.last,
                           packed.fc1);
  const auto dim_share = team.share(dim, kernels::kPanelColumns);
  kernels::pack_transposed(job.fc2_weight, shape.hidden, shape.hidden, dim_share.first,
                           dim_share.last, packed.fc2);
  team.barrier();
  const auto rows = team.share(shape.rows, kernels::kTileRows);
  for (int64_t row = rows.first; row < rows.last; row += kChunkRows) {
    const int64_t count = std::min(kChunkRows, rows.last - row);
    const Bf16* x = job.x.bf16 + row * dim;
    if (job.x.bf16 == nullptr) {
      x = job.x_kept + row * dim;
      kernels::to_bf16(job.x.offset(row * dim), dim, count, dim, job.x_kept + row * dim, dim);
    }
    kernels::gemm_gelu({count, shape.hidden, dim / 2}, kernels::left_rows(x, dim), packed.fc1,
                       job.fc1_bias, shape.gelu,
                       job.before != nullptr ? job.before + row * shape.hidden : nullptr, hidden,
                       shape.hidden);
    kernels::gemm({count, dim, shape.hidden / 2}, kernels::left_rows(hidden, shape.hidden),
                  packed.fc2, job.fc2_bias,
                  job.residual != nullptr ? job.residual + row * dim : nullptr,
                  job.out.offset(row * dim), dim);
  }
}

/// Scratch memory of one expert in the backward pass, for one block of rows.
struct BackwardScratch {
  PackedWeights packed;
  Bf16* d_out;     // [rows, dim]
  Bf16* after;     // [rows, hidden]
  Bf16* d_before;  // [rows, hidden]
  std::array<WeightGradientScratch, 2> gradients;
};

BackwardScratch take_backward(Arena& arena, const MlpShape& shape) {
  // Transposed against the forward pass, so the padding changes sides.
  const PackedWeights packed{
      .fc1 = arena.take<Pair>(kernels::packed_size(shape.hidden, shape.dim)),
      .fc2 = arena.take<Pair>(kernels::packed_size(shape.dim, shape.hidden))};
  const int64_t rows = block_rows(shape);
  return {.packed = packed,
          .d_out = arena.take<Bf16>(rows * shape.dim),
          .after = arena.take<Bf16>(rows * shape.hidden),
          .d_before = arena.take<Bf16>(rows * shape.hidden),
          .gradients = {take_weight_gradient_scratch(arena, rows, shape.hidden, shape.dim),
                        take_weight_gradient_scratch(arena, rows, shape.dim, shape.hidden)}};
}

/// Gradients of the values, rows [block, block + count) of the expert; `d_out` are the same rows.
void backward_rows(const Team& team, const MlpShape& shape, const BackwardJob& job, int64_t block,
                   int64_t count, const Bf16* d_out, const BackwardScratch& scratch) {
  const int64_t dim = shape.dim;
  const int64_t hidden = shape.hidden;
  const auto rows = team.share(count, kernels::kTileRows);
  for (int64_t row = rows.first; row < rows.last; row += kChunkRows) {
    const int64_t chunk = std::min(kChunkRows, rows.last - row);
    if (job.d_out.bf16 == nullptr) {
      kernels::to_bf16(job.d_out.offset((block + row) * dim), dim, chunk, dim,
                       scratch.d_out + row * dim, dim);
    }
    kernels::gemm_gelu_backward(
        {chunk, hidden, dim / 2}, kernels::left_rows(d_out + row * dim, dim), scratch.packed.fc2,
        shape.gelu, job.before + (block + row) * hidden, scratch.after + row * hidden,
        scratch.d_before + row * hidden, hidden);
    kernels::gemm({chunk, dim, hidden / 2},
                  kernels::left_rows(scratch.d_before + row * hidden, hidden), scratch.packed.fc1,
                  /*bias=*/nullptr, /*residual=*/nullptr, job.d_x.offset((block + row) * dim), dim);
  }
}

void backward_expert(const Team& team, const MlpShape& shape, const BackwardJob& job,
                     const BackwardScratch& scratch) {
  const int64_t dim = shape.dim;
  const int64_t hidden = shape.hidden;
  const auto dim_share = team.share(dim, kernels::kPanelColumns);
  kernels::pack_rows(job.fc1_weight, dim, hidden, dim_share.first, dim_share.last,
                     scratch.packed.fc1);
  const auto hidden_share = team.share(hidden, kernels::kPanelColumns);
  kernels::pack_rows(job.fc2_weight, hidden, dim, hidden_share.first, hidden_share.last,
                     scratch.packed.fc2);
  team.barrier();
  for (int64_t block = 0; block < shape.rows; block += kGradientRows) {
    const int64_t count = std::min(kGradientRows, shape.rows - block);
    const Bf16* const d_out =
        job.d_out.bf16 != nullptr ? job.d_out.bf16 + block * dim : scratch.d_out;
    backward_rows(team, shape, job, block, count, d_out, scratch);
    team.barrier();
    weight_gradients(
        team, count,
        {{{scratch.d_before, hidden, job.x + block * dim, dim, job.d_fc1_weight, job.d_fc1_bias},
          {d_out, dim, scratch.after, hidden, job.d_fc2_weight, job.d_fc2_bias}}},
        scratch.gradients, /*accumulate=*/block > 0);
  }
}

/// Calls run(team, index, scratch) for every expert: with many experts each thread has its own,
/// with few all threads share each. `take(arena, threads)` makes the scratch memory of one.
template <typename Take, typename Run>
void for_each_expert(int64_t experts, size_t room, const Take& take, const Run& run) {
  if (experts >= 2 * at::get_num_threads()) {
    run_team([&](const Team& team) {
      Arena& arena = thread_arena();
      arena.reset(room);
      const auto scratch = take(arena);
      const auto share = team.share(experts);
      for (int64_t index = share.first; index < share.last; ++index) {
        run(Team{}, index, scratch);
      }
    });
    return;
  }
  Arena& arena = thread_arena();
  arena.reset(room);
  const auto scratch = take(arena);
  run_team([&](const Team& team) {
    for (int64_t index = 0; index < experts; ++index) {
      run(team, index, scratch);
      team.barrier();
    }
  });
}

MlpShape shape_of(const torch::Tensor& x, const torch::Tensor& fc1_weight, bool gelu_tanh) {
  const bool batched = fc1_weight.dim() == 3;
  const int64_t experts = batched ? fc1_weight.size(0) : 1;
  const int64_t dim = x.size(-1);
  return {.experts = experts,
          .rows = x.numel() / dim / experts,
          .dim = dim,
          .hidden = fc1_weight.size(-2),
          .gelu = gelu_tanh ? kernels::GeluKind::kTanh : kernels::GeluKind::kExact};
}

/// What the backward pass needs of the forward pass.
struct Kept {
  torch::Tensor x;       // bf16, [..., dim]
  torch::Tensor before;  // bf16, [experts, rows, hidden]
};

torch::Tensor forward_all(const torch::Tensor& x, const MlpParameters& parameters, bool gelu_tanh,
                          const torch::Tensor& residual, Kept* kept) {
  const auto shape = shape_of(x, parameters.fc1_weight, gelu_tanh);
  const auto input = plain(x);
  const auto bf16 = torch::dtype(torch::kBFloat16);
  const bool converts = input.scalar_type() != torch::kBFloat16;
  const auto x_kept = converts ? at::empty(x.sizes(), bf16) : input;  // [..., dim]
  torch::Tensor before;
  if (kept != nullptr) {
    before = at::empty({shape.experts, shape.rows, shape.hidden}, bf16);
    *kept = {.x = x_kept, .before = before};
  }
  const auto rest = residual.defined() ? residual.contiguous() : residual;
  auto out = at::empty(x.sizes(), rest.defined() ? torch::kFloat32 : torch::kBFloat16);
  const ForwardJob first{.x = source_of(input),
                         .x_kept = bf16_of(x_kept),
                         .fc1_weight = source_of(parameters.fc1_weight),
                         .fc1_bias = parameters.fc1_bias.const_data_ptr<float>(),
                         .fc2_weight = source_of(parameters.fc2_weight),
                         .fc2_bias = parameters.fc2_bias.const_data_ptr<float>(),
                         .residual = fp32_or_null(rest),
                         .before = before.defined() ? bf16_of(before) : nullptr,
                         .out = target_of(out)};
  const int64_t threads = at::get_num_threads();
  const size_t room = packed_room(shape) + Arena::room<Bf16>(threads * kChunkRows * shape.hidden);
  for_each_expert(
      shape.experts, room,
      [&](Arena& arena) {
        return std::pair(take_packed(arena, shape),
                         arena.take<Bf16>(threads * kChunkRows * shape.hidden));
      },
      [&](const Team& team, int64_t index, const std::pair<PackedWeights, Bf16*>& scratch) {
        const int64_t rows = index * shape.rows;
        const int64_t weights = index * shape.hidden * shape.dim;
        ForwardJob job = first;
        job.x = first.x.offset(rows * shape.dim);
        job.x_kept += rows * shape.dim;
        job.fc1_weight = first.fc1_weight.offset(weights);
        job.fc1_bias += index * shape.hidden;
        job.fc2_weight = first.fc2_weight.offset(weights);
        job.fc2_bias += index * shape.dim;
        job.residual = first.residual != nullptr ? first.residual + rows * shape.dim : nullptr;
        job.before = first.before != nullptr ? first.before + rows * shape.hidden : nullptr;
        job.out = first.out.offset(rows * shape.dim);
        forward_expert(team, shape, job, scratch.first,
                       scratch.second + team.rank * kChunkRows * shape.hidden);
      });
  return out;
}

class MlpFunction : public torch::autograd::Function<MlpFunction> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& fc1_weight, const torch::Tensor& fc1_bias,
                               const torch::Tensor& fc2_weight, const torch::Tensor& fc2_bias,
                               bool gelu_tanh, const std::optional<torch::Tensor>& residual) {
    Kept kept;
    const auto out = forward_all(x, {fc1_weight, fc1_bias, fc2_weight, fc2_bias}, gelu_tanh,
                                 tensor_of(residual), &kept);
    context->save_for_backward({kept.x, kept.before, fc1_weight, fc2_weight});
    context->saved_data["gelu_tanh"] = gelu_tanh;
    context->saved_data["x_is_bf16"] = x.scalar_type() == torch::kBFloat16;
    context->saved_data["has_residual"] = residual.has_value();
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list d_outputs) {
    const auto saved = context->get_saved_variables();
    const auto& [x, before, fc1_weight, fc2_weight] =
        std::tie(saved[0], saved[1], saved[2], saved[3]);
    const auto shape = shape_of(x, fc1_weight, context->saved_data["gelu_tanh"].toBool());
    const auto d_out = plain(d_outputs[0]);
    const bool x_is_bf16 = context->saved_data["x_is_bf16"].toBool();
    auto d_x = at::empty(x.sizes(), x_is_bf16 ? torch::kBFloat16 : torch::kFloat32);
    auto d_fc1_weight = at::empty_like(fc1_weight);
    auto d_fc1_bias = at::empty(bias_shape(fc1_weight), torch::kFloat32);
    auto d_fc2_weight = at::empty_like(fc2_weight);
    auto d_fc2_bias = at::empty(bias_shape(fc2_weight), torch::kFloat32);
    const BackwardJob first{.d_out = source_of(d_out),
                            .x = bf16_of(x),
                            .before = bf16_of(before),
                            .fc1_weight = source_of(fc1_weight),
                            .fc2_weight = source_of(fc2_weight),
                            .d_x = target_of(d_x),
                            .d_fc1_weight = d_fc1_weight.data_ptr<float>(),
                            .d_fc1_bias = d_fc1_bias.data_ptr<float>(),
                            .d_fc2_weight = d_fc2_weight.data_ptr<float>(),
                            .d_fc2_bias = d_fc2_bias.data_ptr<float>()};
    for_each_expert(
        shape.experts, backward_room(shape),
        [&](Arena& arena) { return take_backward(arena, shape); },
        [&](const Team& team, int64_t index, const BackwardScratch& scratch) {
          backward_expert(team, shape, job_of(first, shape, index), scratch);
        });
    const bool has_residual = context->saved_data["has_residual"].toBool();
    return {d_x,
            d_fc1_weight,
            d_fc1_bias,
            d_fc2_weight,
            d_fc2_bias,
            {},
            has_residual ? d_outputs[0] : torch::Tensor()};
  }

 private:
  static std::vector<int64_t> bias_shape(const torch::Tensor& weight) {
    return weight.sizes().slice(0, weight.dim() - 1).vec();
  }

  static BackwardJob job_of(BackwardJob job, const MlpShape& shape, int64_t index) {
    const int64_t rows = index * shape.rows;
    const int64_t weights = index * shape.hidden * shape.dim;
    job.d_out = job.d_out.offset(rows * shape.dim);
    job.x += rows * shape.dim;
    job.before += rows * shape.hidden;
    job.fc1_weight = job.fc1_weight.offset(weights);
    job.fc2_weight = job.fc2_weight.offset(weights);
    job.d_x = job.d_x.offset(rows * shape.dim);
    job.d_fc1_weight += weights;
    job.d_fc1_bias += index * shape.hidden;
    job.d_fc2_weight += weights;
    job.d_fc2_bias += index * shape.dim;
    return job;
  }
};

}  // namespace

bool fused_mlp_takes(const MlpParameters& parameters) {
  const auto& weight = parameters.fc1_weight;
  return weight.scalar_type() == torch::kFloat32 && weight.size(-1) % 2 == 0 &&
         weight.size(-2) % 2 == 0 && weight.is_contiguous() &&
         parameters.fc2_weight.is_contiguous();
}

torch::Tensor fused_mlp(const torch::Tensor& x, const MlpParameters& parameters, bool gelu_tanh,
                        const torch::Tensor& residual) {
  const auto& [fc1_weight, fc1_bias, fc2_weight, fc2_bias] = parameters;
  TORCH_CHECK_VALUE(x.size(-1) == fc1_weight.size(-1) && fused_mlp_takes(parameters),
                    "fused_mlp: x ", x.sizes(), " and fc1_weight ", fc1_weight.sizes());
  TORCH_CHECK_VALUE(!residual.defined() || residual.sizes() == x.sizes(), "fused_mlp: x ",
                    x.sizes(), ", residual ", residual.sizes());
  const auto rest = residual.defined() ? residual.to(torch::kFloat32) : residual;
  if (!at::GradMode::is_enabled()) {
    return forward_all(x, parameters, gelu_tanh, rest, /*kept=*/nullptr);
  }
  return MlpFunction::apply(x, fc1_weight, fc1_bias, fc2_weight, fc2_bias, gelu_tanh,
                            optional_of(rest));
}

}  // namespace softmoe
