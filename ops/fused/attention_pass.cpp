#include "ops/fused/attention_pass.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <array>

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

/// The smallest number of rows that go through the linear maps together.
constexpr int64_t kAttentionRows = 64;
/// The end of the sequences from `first` on, up to `last`, whose rows go through the linear maps
/// together: as few as have kAttentionRows rows.
int64_t group_end(const AttentionCall& call, int64_t first, int64_t last) {
  int64_t end = first + 1;
  while (end < last && call.first_of(end) - call.first_of(first) < kAttentionRows) {
    ++end;
  }
  return end;
}

/// Sizes of a product of `rows` rows.
kernels::GemmShape shape_of(const AttentionCall& call, int64_t rows, int64_t columns,
                            int64_t depth) {
  return {call.precision, rows, columns, kernels::units_of(call.precision, depth)};
}

/// Returns true if there are too few sequences to give each thread its own.
bool splits_sequences(const ThreadTeam& team, const AttentionCall& call) {
  return call.sequences() < 2 * team.size && team.size > 1;
}

/// The first of the sequences [begin, end) whose first row is `row` or later.
int64_t sequence_from(const AttentionCall& call, int64_t begin, int64_t end, int64_t row) {
  const auto* const first = call.first.data();
  return std::lower_bound(first + begin, first + end, row) - first;
}

/// Scratch memory of the forward pass.
struct ForwardScratch {
  Unit* packed_qkv;
  Unit* packed_proj;
  float* attention;  // one part per thread
  int64_t attention_size;
};

ForwardScratch take_forward(Arena& arena, const AttentionCall& call) {
  const int64_t dim = call.longest.dim();
  const int64_t threads = at::get_num_threads();
  const int64_t attention_size =
      kernels::round_up(kernels::table().attention_scratch(call.longest), 16);
  arena.reset(Arena::room<Unit>(kernels::packed_size(call.precision, dim, 3 * dim)) +
              Arena::room<Unit>(kernels::packed_size(call.precision, dim, dim)) +
              Arena::room<float>(threads * attention_size));
  return {.packed_qkv = arena.take<Unit>(kernels::packed_size(call.precision, dim, 3 * dim)),
          .packed_proj = arena.take<Unit>(kernels::packed_size(call.precision, dim, dim)),
          .attention = arena.take<float>(threads * attention_size),
          .attention_size = attention_size};
}

/// Calls function(first, count) for the rows [first, last) of `range`, some at a time.
template <typename Function>
void for_each_chunk(const IndexRange& range, const Function& function) {
  for (int64_t row = range.first; row < range.last; row += kAttentionRows) {
    function(row, std::min(kAttentionRows, range.last - row));
  }
}

/// The three steps of a pass over the sequences [begin, end): before(row, rows) and
/// after(row, rows) on rows, attend(sequence, heads) between them. Each sequence goes through all
/// three at once if there are enough of them for the threads; otherwise threads share rows and
/// heads.
template <typename Before, typename Attend, typename After>
void three_steps(const ThreadTeam& team, const AttentionCall& call, int64_t begin, int64_t end,
                 const Before& before, const Attend& attend, const After& after) {
  const int64_t first_row = call.first_of(begin);
  const int64_t all_rows = call.first_of(end) - first_row;
  const int64_t heads = call.longest.heads;
  if (splits_sequences(team, call)) {
    auto rows = team.share(all_rows, kernels::kTileRows);
    rows = {first_row + rows.first, first_row + rows.last};
    for_each_chunk(rows, before);
    team.barrier();
    const auto share = team.share((end - begin) * heads);
    for (int64_t index = share.first; index < share.last; ++index) {
      attend(begin + index / heads, kernels::HeadRange{index % heads, index % heads + 1});
    }
    team.barrier();
    for_each_chunk(rows, after);
    return;
  }
  const auto rows = team.share(all_rows);
  const int64_t last = sequence_from(call, begin, end, first_row + rows.last);
  int64_t sequence = sequence_from(call, begin, end, first_row + rows.first);
  while (sequence < last) {
    const int64_t next = group_end(call, sequence, last);
    const int64_t row = call.first_of(sequence);
    const int64_t count = call.first_of(next) - row;
    before(row, count);
    for (; sequence < next; ++sequence) {
      attend(sequence, kernels::HeadRange{0, heads});
    }
    after(row, count);
  }
}

void forward_team(const ThreadTeam& team, const AttentionCall& call, const AttentionForwardJob& job,
                  const ForwardScratch& scratch) {
  const int64_t dim = call.longest.dim();
  const auto qkv_columns = team.share(3 * dim, kernels::kPanelColumns);
  kernels::table().pack_transposed(call.precision, job.qkv_weight, dim, dim, qkv_columns.first,
                                   qkv_columns.last, scratch.packed_qkv);
  const auto proj_columns = team.share(dim, kernels::kPanelColumns);
  kernels::table().pack_transposed(call.precision, job.proj_weight, dim, dim, proj_columns.first,
                                   proj_columns.last, scratch.packed_proj);
  team.barrier();
  const auto before = [&](int64_t row, int64_t rows) {
    const Source x = rounded_rows(call.precision, job.x.offset(row * dim), rows, dim,
                                  job.x_kept.offset(row * dim));
    kernels::table().gemm(shape_of(call, rows, 3 * dim, dim), kernels::left_rows(x, dim),
                          scratch.packed_qkv, job.qkv_bias, /*residual=*/nullptr,
                          job.qkv.offset(row * 3 * dim), 3 * dim);
  };
  const auto attend = [&](int64_t sequence, kernels::HeadRange heads) {
    const int64_t row = call.first_of(sequence);
    kernels::table().attention_forward(call.shape(sequence), heads, job.norm,
                                       job.qkv.offset(row * 3 * dim), job.mixed.offset(row * dim),
                                       scratch.attention + team.rank * scratch.attention_size);
  };
  const auto after = [&](int64_t row, int64_t rows) {
    kernels::table().gemm(shape_of(call, rows, dim, dim),
                          kernels::left_rows(job.mixed.offset(row * dim), dim), scratch.packed_proj,
                          job.proj_bias,
                          job.residual != nullptr ? job.residual + row * dim : nullptr,
                          job.out.offset(row * dim), dim);
  };
  three_steps(team, call, 0, call.sequences(), before, attend, after);
}

/// Scratch memory of the backward pass, for one block of sequences.
struct AttentionBackwardScratch {
  Unit* packed_qkv;
  Unit* packed_proj;
  Target d_out;      // [rows, dim]
  Target d_mixed;    // [rows, dim]
  Target d_qkv;      // [rows, 3 dim]
  float* attention;  // one part per thread
  int64_t attention_size;
  std::array<WeightGradientScratch, 2> weights;
};

/// The end of the sequences from `first` on that the backward pass holds at a time.
int64_t block_end(const AttentionCall& call, int64_t first) {
  int64_t end = first + 1;
  while (end < call.sequences() && call.first_of(end + 1) - call.first_of(first) <= kGradientRows) {
    ++end;
  }
  return end;
}

/// Rows of the largest block.
int64_t max_block_rows(const AttentionCall& call) {
  int64_t rows = 0;
  for (int64_t first = 0; first < call.sequences();) {
    const int64_t end = block_end(call, first);
    rows = std::max(rows, call.first_of(end) - call.first_of(first));
    first = end;
  }
  return rows;
}

AttentionBackwardScratch take_backward(Arena& arena, const AttentionCall& call) {
  const int64_t dim = call.longest.dim();
  const int64_t rows = max_block_rows(call);
  const int64_t threads = at::get_num_threads();
  const int64_t attention_size =
      kernels::round_up(kernels::table().attention_scratch(call.longest), 16);
  arena.reset(Arena::room<Unit>(kernels::packed_size(call.precision, 3 * dim, dim)) +
              Arena::room<Unit>(kernels::packed_size(call.precision, dim, dim)) +
              2 * values_room(call.precision, rows * dim) +
              values_room(call.precision, rows * 3 * dim) +
              Arena::room<float>(threads * attention_size) +
              weight_gradient_room(call.precision, rows, 3 * dim, dim) +
              weight_gradient_room(call.precision, rows, dim, dim));
  return {.packed_qkv = arena.take<Unit>(kernels::packed_size(call.precision, 3 * dim, dim)),
          .packed_proj = arena.take<Unit>(kernels::packed_size(call.precision, dim, dim)),
          .d_out = take_values(arena, call.precision, rows * dim),
          .d_mixed = take_values(arena, call.precision, rows * dim),
          .d_qkv = take_values(arena, call.precision, rows * 3 * dim),
          .attention = arena.take<float>(threads * attention_size),
          .attention_size = attention_size,
          .weights = {take_weight_gradient_scratch(arena, call.precision, rows, 3 * dim, dim),
                      take_weight_gradient_scratch(arena, call.precision, rows, dim, dim)}};
}

/// Gradients of the values of the sequences [begin, end); `d_out` are their rows.
void backward_block(const ThreadTeam& team, const AttentionCall& call,
                    const AttentionBackwardJob& job, int64_t begin, int64_t end, Source d_out,
                    const AttentionBackwardScratch& scratch) {
  const int64_t dim = call.longest.dim();
  const int64_t first_row = call.first_of(begin);  // scratch memory begins there
  const auto before = [&](int64_t row, int64_t rows) {
    const int64_t own = (row - first_row) * dim;
    rounded_rows(call.precision, job.d_out.offset(row * dim), rows, dim, scratch.d_out.offset(own));
    kernels::table().gemm(shape_of(call, rows, dim, dim),
                          kernels::left_rows(d_out.offset(own), dim), scratch.packed_proj,
                          /*bias=*/nullptr, /*residual=*/nullptr, scratch.d_mixed.offset(own), dim);
  };
  const auto attend = [&](int64_t sequence, kernels::HeadRange heads) {
    const int64_t row = call.first_of(sequence);
    const int64_t own = (row - first_row) * dim;
    kernels::table().attention_backward(
        call.shape(sequence), heads, job.norm, job.qkv.offset(row * 3 * dim),
        scratch.d_mixed.offset(own), scratch.d_qkv.offset(3 * own),
        job.d_norms != nullptr ? job.d_norms + sequence * 2 * dim : nullptr,
        scratch.attention + team.rank * scratch.attention_size);
  };
  const auto after = [&](int64_t row, int64_t rows) {
    if (!job.d_x) {
      return;
    }
    kernels::table().gemm(
        shape_of(call, rows, dim, 3 * dim),
        kernels::left_rows(scratch.d_qkv.offset((row - first_row) * 3 * dim), 3 * dim),
        scratch.packed_qkv, /*bias=*/nullptr, /*residual=*/nullptr, job.d_x.offset(row * dim), dim);
  };
  three_steps(team, call, begin, end, before, attend, after);
}

}  // namespace

void attention_pass_forward(const AttentionCall& call, const AttentionForwardJob& job) {
  const auto scratch = take_forward(thread_arena(), call);
  run_team([&](const ThreadTeam& team) { forward_team(team, call, job, scratch); });
}

void attention_pass_backward(const AttentionCall& call, const AttentionBackwardJob& job) {
  const int64_t dim = call.longest.dim();
  const auto scratch = take_backward(thread_arena(), call);
  run_team([&](const ThreadTeam& team) {
    const auto columns = team.share(dim, kernels::kPanelColumns);
    kernels::table().pack_rows(call.precision, job.qkv_weight, dim, 3 * dim, columns.first,
                               columns.last, scratch.packed_qkv);
    kernels::table().pack_rows(call.precision, job.proj_weight, dim, dim, columns.first,
                               columns.last, scratch.packed_proj);
    team.barrier();
    for (int64_t begin = 0; begin < call.sequences();) {
      const int64_t end = block_end(call, begin);
      const int64_t rows = call.first_of(end) - call.first_of(begin);
      const int64_t at = call.first_of(begin) * dim;
      const Source d_out =
          is_rounded(job.d_out, call.precision) ? Source(scratch.d_out) : job.d_out.offset(at);
      backward_block(team, call, job, begin, end, d_out, scratch);
      const std::array<WeightGradient, 2> gradients{
          {{scratch.d_qkv, 3 * dim, job.x.offset(at), dim, job.d_qkv_weight, job.d_qkv_bias},
           {d_out, dim, job.mixed.offset(at), dim, job.d_proj_weight, job.d_proj_bias}}};
      if (gradients[0].is_wanted() || gradients[1].is_wanted()) {
        team.barrier();
        weight_gradients(team, call.precision, rows, gradients, scratch.weights,
                         /*accumulate=*/begin > 0);
      }
      begin = end;
    }
  });
}

}  // namespace softmoe::fused
