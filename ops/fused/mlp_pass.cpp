#include "ops/fused/mlp_pass.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <utility>

#include "kernels/table.h"
#include "ops/fused/values.h"
#include "ops/fused/weight_gradient.h"
#include "runtime/arena.h"
#include "runtime/thread_team.h"

namespace softmoe::fused {
namespace {

using kernels::Source;
using kernels::Target;
using kernels::Unit;

/// Rows that go through both layers before the next ones do: their hidden values stay in the
/// second-level cache.
constexpr int64_t kMlpRows = 64;

/// Up to so many rows of an expert go through a part of the weights while it is in the first-level
/// cache; with more, weights are packed as a whole, once.
constexpr int64_t kFewRows = 256;

/// Columns of the weights that are packed at a time for few rows.
constexpr int64_t kPartColumns = 4 * kernels::kPanelColumns;

/// Gradients that are larger do not stay in the caches until they are used.
constexpr int64_t kCachedBytes = int64_t{32} << 20;

struct PackedMlp {
  Unit* fc1;
  Unit* fc2;
};

size_t packed_room(const MlpShape& shape) {
  return Arena::room<Unit>(kernels::packed_size(shape.precision, shape.dim, shape.hidden)) +
         Arena::room<Unit>(kernels::packed_size(shape.precision, shape.hidden, shape.dim));
}

/// Rows that the backward pass holds at a time.
int64_t block_rows(const MlpShape& shape) { return std::min(shape.rows, kGradientRows); }

size_t backward_room(const MlpShape& shape) {
  const int64_t rows = block_rows(shape);
  return packed_room(shape) + values_room(shape.precision, rows * shape.dim) +
         2 * values_room(shape.precision, rows * shape.hidden) +
         weight_gradient_room(shape.precision, rows, shape.hidden, shape.dim) +
         weight_gradient_room(shape.precision, rows, shape.dim, shape.hidden);
}

PackedMlp take_packed(Arena& arena, const MlpShape& shape) {
  return {.fc1 = arena.take<Unit>(kernels::packed_size(shape.precision, shape.dim, shape.hidden)),
          .fc2 = arena.take<Unit>(kernels::packed_size(shape.precision, shape.hidden, shape.dim))};
}

void forward_expert(const ThreadTeam& team, const MlpShape& shape, const MlpForwardJob& job,
                    const PackedMlp& packed, Target hidden) {
  const int64_t dim = shape.dim;
  const auto hidden_share = team.share(shape.hidden, kernels::kPanelColumns);
  kernels::table().pack_transposed(shape.precision, job.fc1_weight, dim, dim, hidden_share.first,
                                   hidden_share.last, packed.fc1);
  const auto dim_share = team.share(dim, kernels::kPanelColumns);
  kernels::table().pack_transposed(shape.precision, job.fc2_weight, shape.hidden, shape.hidden,
                                   dim_share.first, dim_share.last, packed.fc2);
  team.barrier();
  const auto rows = team.share(shape.rows, kernels::kTileRows);
  for (int64_t row = rows.first; row < rows.last; row += kMlpRows) {
    const int64_t count = std::min(kMlpRows, rows.last - row);
    const Source x = rounded_rows(shape.precision, job.x.offset(row * dim), count, dim,
                                  job.x_kept.offset(row * dim));
    kernels::table().gemm_gelu({shape.precision, count, shape.hidden, shape.units(dim)},
                               kernels::left_rows(x, dim), packed.fc1, job.fc1_bias,
                               shape.activation, job.before.offset(row * shape.hidden), hidden,
                               shape.hidden);
    kernels::table().gemm({shape.precision, count, dim, shape.units(shape.hidden)},
                          kernels::left_rows(hidden, shape.hidden), packed.fc2, job.fc2_bias,
                          job.residual != nullptr ? job.residual + row * dim : nullptr,
                          job.out.offset(row * dim), dim);
  }
}

/// The forward pass of one expert for few rows on one thread. The next part of the weights is
/// fetched from memory while one is being multiplied; those of the next expert follow the last one.
void forward_few_rows(const MlpShape& shape, const MlpForwardJob& job, const PackedMlp& packed,
                      Target values) {
  const auto [rows, dim, hidden] = std::tuple(shape.rows, shape.dim, shape.hidden);
  constexpr int64_t kColumns = kernels::kPanelColumns;
  const Source x = rounded_rows(shape.precision, job.x, rows, dim, job.x_kept);
  for (int64_t column = 0; column < hidden; column += kColumns) {
    const int64_t count = std::min(kColumns, hidden - column);
    kernels::table().pack_transposed(shape.precision, job.fc1_weight.offset(column * dim), dim, dim,
                                     0, count, packed.fc1);
    const auto next = column + kColumns < hidden
                          ? kernels::upcoming(job.fc1_weight.offset((column + kColumns) * dim), dim,
                                              kColumns, dim)
                          : kernels::upcoming(job.fc2_weight, hidden, kColumns, hidden);
    kernels::table().gemm_gelu({shape.precision, rows, count, shape.units(dim), next},
                               kernels::left_rows(x, dim), packed.fc1, job.fc1_bias + column,
                               shape.activation, job.before.offset(column), values.offset(column),
                               hidden);
  }
  for (int64_t column = 0; column < dim; column += kColumns) {
    const int64_t count = std::min(kColumns, dim - column);
    kernels::table().pack_transposed(shape.precision, job.fc2_weight.offset(column * hidden),
                                     hidden, hidden, 0, count, packed.fc2);
    const auto next =
        column + kColumns < dim
            ? kernels::upcoming(job.fc2_weight.offset((column + kColumns) * hidden), hidden,
                                kColumns, hidden)
            : kernels::upcoming(job.fc1_weight.offset(hidden * dim), dim, kColumns, dim);
    kernels::table().gemm({shape.precision, rows, count, shape.units(hidden), next},
                          kernels::left_rows(values, hidden), packed.fc2, job.fc2_bias + column,
                          job.residual != nullptr ? job.residual + column : nullptr,
                          job.out.offset(column), dim);
  }
}

/// Scratch memory of one expert in the backward pass, for one block of rows.
struct MlpBackwardScratch {
  PackedMlp packed;
  Target d_out;     // [rows, dim]
  Target after;     // [rows, hidden]
  Target d_before;  // [rows, hidden]
  std::array<WeightGradientScratch, 2> gradients;
};

MlpBackwardScratch take_backward(Arena& arena, const MlpShape& shape) {
  // Transposed against the forward pass, so the padding changes sides.
  const PackedMlp packed{
      .fc1 = arena.take<Unit>(kernels::packed_size(shape.precision, shape.hidden, shape.dim)),
      .fc2 = arena.take<Unit>(kernels::packed_size(shape.precision, shape.dim, shape.hidden))};
  const int64_t rows = block_rows(shape);
  return {.packed = packed,
          .d_out = take_values(arena, shape.precision, rows * shape.dim),
          .after = take_values(arena, shape.precision, rows * shape.hidden),
          .d_before = take_values(arena, shape.precision, rows * shape.hidden),
          .gradients = {
              take_weight_gradient_scratch(arena, shape.precision, rows, shape.hidden, shape.dim),
              take_weight_gradient_scratch(arena, shape.precision, rows, shape.dim, shape.hidden)}};
}

/// Gradients of the values of rows [block, block + count) of the expert, whose `d_out` is given.
void backward_rows(const ThreadTeam& team, const MlpShape& shape, const MlpBackwardJob& job,
                   int64_t block, int64_t count, Source d_out, const MlpBackwardScratch& scratch) {
  const int64_t dim = shape.dim;
  const int64_t hidden = shape.hidden;
  const auto rows = team.share(count, kernels::kTileRows);
  for (int64_t row = rows.first; row < rows.last; row += kMlpRows) {
    const int64_t chunk = std::min(kMlpRows, rows.last - row);
    rounded_rows(shape.precision, job.d_out.offset((block + row) * dim), chunk, dim,
                 scratch.d_out.offset(row * dim));
    kernels::table().gemm_gelu_backward(
        {shape.precision, chunk, hidden, shape.units(dim)},
        kernels::left_rows(d_out.offset(row * dim), dim), scratch.packed.fc2, shape.activation,
        job.before.offset((block + row) * hidden), scratch.after.offset(row * hidden),
        scratch.d_before.offset(row * hidden), hidden);
    if (job.d_x) {
      kernels::table().gemm(
          {shape.precision, chunk, dim, shape.units(hidden)},
          kernels::left_rows(scratch.d_before.offset(row * hidden), hidden), scratch.packed.fc1,
          /*bias=*/nullptr, /*residual=*/nullptr, job.d_x.offset((block + row) * dim), dim);
    }
  }
}

/// Gradients of the values of few rows on one thread.
void backward_few_rows(const MlpShape& shape, const MlpBackwardJob& job, Source d_out,
                       const MlpBackwardScratch& scratch) {
  const auto [rows, dim, hidden] = std::tuple(shape.rows, shape.dim, shape.hidden);
  rounded_rows(shape.precision, job.d_out, rows, dim, scratch.d_out);
  for (int64_t column = 0; column < hidden; column += kPartColumns) {
    const int64_t count = std::min(kPartColumns, hidden - column);
    kernels::table().pack_rows(shape.precision, job.fc2_weight.offset(column), hidden, dim, 0,
                               count, scratch.packed.fc2);
    const auto next =
        column + kPartColumns < hidden
            ? kernels::upcoming(job.fc2_weight.offset(column + kPartColumns), hidden, dim,
                                std::min(kPartColumns, hidden - column - kPartColumns))
            : kernels::upcoming(job.fc1_weight, dim, hidden, std::min(kPartColumns, dim));
    kernels::table().gemm_gelu_backward(
        {shape.precision, rows, count, shape.units(dim), next}, kernels::left_rows(d_out, dim),
        scratch.packed.fc2, shape.activation, job.before.offset(column),
        scratch.after.offset(column), scratch.d_before.offset(column), hidden);
  }
  if (!job.d_x) {
    return;
  }
  for (int64_t column = 0; column < dim; column += kPartColumns) {
    const int64_t count = std::min(kPartColumns, dim - column);
    kernels::table().pack_rows(shape.precision, job.fc1_weight.offset(column), dim, hidden, 0,
                               count, scratch.packed.fc1);
    const int64_t rest = std::min(kPartColumns, dim - column - kPartColumns);
    const auto next = rest > 0 ? kernels::upcoming(job.fc1_weight.offset(column + kPartColumns),
                                                   dim, hidden, rest)
                               : kernels::Upcoming{};
    kernels::table().gemm({shape.precision, rows, count, shape.units(hidden), next},
                          kernels::left_rows(scratch.d_before, hidden), scratch.packed.fc1,
                          /*bias=*/nullptr, /*residual=*/nullptr, job.d_x.offset(column), dim);
  }
}

/// Returns true if the gradients of all experts' weights are to be written past the caches.
bool is_streamed(const MlpShape& shape, const float* d_weight) {
  const bool fits_vectors = shape.dim % 16 == 0 && shape.hidden % 16 == 0 &&
                            reinterpret_cast<uintptr_t>(d_weight) % 64 == 0;
  return fits_vectors && shape.rows <= kGradientRows &&
         2 * shape.experts * shape.dim * shape.hidden * int64_t{sizeof(float)} > kCachedBytes;
}

void backward_expert(const ThreadTeam& team, const MlpShape& shape, const MlpBackwardJob& job,
                     const MlpBackwardScratch& scratch) {
  const int64_t dim = shape.dim;
  const int64_t hidden = shape.hidden;
  const bool few_rows = team.size == 1 && shape.rows <= kFewRows;
  if (!few_rows) {
    const auto dim_share = team.share(dim, kernels::kPanelColumns);
    kernels::table().pack_rows(shape.precision, job.fc1_weight, dim, hidden, dim_share.first,
                               dim_share.last, scratch.packed.fc1);
    const auto hidden_share = team.share(hidden, kernels::kPanelColumns);
    kernels::table().pack_rows(shape.precision, job.fc2_weight, hidden, dim, hidden_share.first,
                               hidden_share.last, scratch.packed.fc2);
    team.barrier();
  }
  for (int64_t block = 0; block < shape.rows; block += kGradientRows) {
    const int64_t count = std::min(kGradientRows, shape.rows - block);
    const Source d_out = is_rounded(job.d_out, shape.precision) ? Source(scratch.d_out)
                                                                : job.d_out.offset(block * dim);
    if (few_rows) {
      backward_few_rows(shape, job, d_out, scratch);
    } else {
      backward_rows(team, shape, job, block, count, d_out, scratch);
    }
    const std::array<WeightGradient, 2> gradients{
        {{scratch.d_before, hidden, job.x.offset(block * dim), dim, job.d_fc1_weight,
          job.d_fc1_bias, is_streamed(shape, job.d_fc1_weight)},
         {d_out, dim, scratch.after, hidden, job.d_fc2_weight, job.d_fc2_bias,
          is_streamed(shape, job.d_fc2_weight)}}};
    if (gradients[0].is_wanted() || gradients[1].is_wanted()) {
      team.barrier();
      weight_gradients(team, shape.precision, count, gradients, scratch.gradients,
                       /*accumulate=*/block > 0);
    }
  }
}

/// Calls run(team, index, scratch) for every expert: with many experts each thread has its own,
/// with few all threads share each. `take(arena, threads)` makes the scratch memory of one.
template <typename Take, typename Run>
void for_each_expert(int64_t experts, size_t room, const Take& take, const Run& run) {
  if (experts >= 2 * at::get_num_threads()) {
    run_team([&](const ThreadTeam& team) {
      Arena& arena = thread_arena();
      arena.reset(room);
      const auto scratch = take(arena);
      const auto share = team.share(experts);
      for (int64_t index = share.first; index < share.last; ++index) {
        run(ThreadTeam{}, index, scratch);
      }
    });
    return;
  }
  Arena& arena = thread_arena();
  arena.reset(room);
  const auto scratch = take(arena);
  run_team([&](const ThreadTeam& team) {
    for (int64_t index = 0; index < experts; ++index) {
      run(team, index, scratch);
      team.barrier();
    }
  });
}

/// The memory of expert `index`.
MlpForwardJob job_of(MlpForwardJob job, const MlpShape& shape, int64_t index) {
  const int64_t rows = index * shape.rows;
  const int64_t weights = index * shape.hidden * shape.dim;
  job.x = job.x.offset(rows * shape.dim);
  job.x_kept = job.x_kept.offset(rows * shape.dim);
  job.fc1_weight = job.fc1_weight.offset(weights);
  job.fc1_bias += index * shape.hidden;
  job.fc2_weight = job.fc2_weight.offset(weights);
  job.fc2_bias += index * shape.dim;
  job.residual = job.residual != nullptr ? job.residual + rows * shape.dim : nullptr;
  job.before = job.before.offset(rows * shape.hidden);
  job.out = job.out.offset(rows * shape.dim);
  return job;
}

MlpBackwardJob job_of(MlpBackwardJob job, const MlpShape& shape, int64_t index) {
  const int64_t rows = index * shape.rows;
  const int64_t weights = index * shape.hidden * shape.dim;
  job.d_out = job.d_out.offset(rows * shape.dim);
  job.x = job.x.offset(rows * shape.dim);
  job.before = job.before.offset(rows * shape.hidden);
  job.fc1_weight = job.fc1_weight.offset(weights);
  job.fc2_weight = job.fc2_weight.offset(weights);
  job.d_x = job.d_x.offset(rows * shape.dim);
  const auto advance = [](float*& gradient, int64_t count) {
    gradient = gradient != nullptr ? gradient + count : nullptr;
  };
  advance(job.d_fc1_weight, weights);
  advance(job.d_fc1_bias, index * shape.hidden);
  advance(job.d_fc2_weight, weights);
  advance(job.d_fc2_bias, index * shape.dim);
  return job;
}

}  // namespace

void mlp_forward(const MlpShape& shape, const MlpForwardJob& job) {
  const int64_t threads = at::get_num_threads();
  const int64_t chunk = std::max(kMlpRows, std::min(kFewRows, shape.rows)) * shape.hidden;
  for_each_expert(
      shape.experts, packed_room(shape) + values_room(shape.precision, threads * chunk),
      [&](Arena& arena) {
        return std::pair(take_packed(arena, shape),
                         take_values(arena, shape.precision, threads * chunk));
      },
      [&](const ThreadTeam& team, int64_t index, const std::pair<PackedMlp, Target>& scratch) {
        const auto own_job = job_of(job, shape, index);
        if (team.size == 1 && shape.rows <= kFewRows) {
          forward_few_rows(shape, own_job, scratch.first, scratch.second);
        } else {
          forward_expert(team, shape, own_job, scratch.first,
                         scratch.second.offset(team.rank * chunk));
        }
      });
}

void mlp_backward(const MlpShape& shape, const MlpBackwardJob& job) {
  for_each_expert(
      shape.experts, backward_room(shape),
      [&](Arena& arena) { return take_backward(arena, shape); },
      [&](const ThreadTeam& team, int64_t index, const MlpBackwardScratch& scratch) {
        backward_expert(team, shape, job_of(job, shape, index), scratch);
      });
}

}  // namespace softmoe::fused
