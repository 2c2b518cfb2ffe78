#include "inference/packed/block_pass.h"

#include <ATen/Parallel.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <array>

#include "kernels/table.h"

namespace softmoe {
namespace {

/// The part of the second-level cache that a block of rows may take.
constexpr int64_t kBlockBytes = 600 << 10;
constexpr int64_t kMaxBlockRows = 196;
/// Tiles of fewer rows read those so slowly that more of them may lie outside the second-level
/// cache; in return a panel is read for more rows.
constexpr int64_t kFewTileRows = 8;
/// Matrix registers have tiles of so many rows. They are so fast that memory gives them weights in
/// time only if these are read for many rows; the processors that have them have larger caches.
constexpr int64_t kMatrixTileRows = 32;
constexpr int64_t kMatrixBlockBytes = 2400 << 10;
constexpr int64_t kMatrixMaxBlockRows = 288;

int64_t block_rows_of(const PackedLayers& layers) {
  const auto& options = layers.options;
  const bool is_fp32 = layers.values == Precision::kFloat32;
  const int64_t tile = is_fp32 ? kernels::table().fp32_tile_rows : kernels::table().bf16_tile_rows;
  const int64_t value_bytes = is_fp32 ? 4 : 2;
  const int64_t hidden = std::min<int64_t>(options.mlp_dim, 1024);
  const int64_t row_bytes = options.dim * 4 + (options.dim + hidden) * value_bytes;
  const bool has_matrices = tile >= kMatrixTileRows;
  const int64_t block_bytes = has_matrices          ? kMatrixBlockBytes
                              : tile < kFewTileRows ? 2 * kBlockBytes
                                                    : kBlockBytes;
  const int64_t max_rows = has_matrices ? kMatrixMaxBlockRows : kMaxBlockRows;
  return tile * std::clamp<int64_t>(block_bytes / row_bytes / tile, 1, max_rows / tile);
}

/// Memory for `rows` rows through any of the model's MLPs.
MlpScratch take_mlp_scratch(Arena& arena, const PackedLayers& layers, int64_t rows) {
  int64_t hidden = 0;
  int64_t units = 0;
  const auto add = [&](const PackedMlp& mlp) {
    const auto& [fc1, fc2] = mlp;
    hidden = std::max(hidden, fc2.chunk());
    units = std::max(units,
                     integer_units(fc1, rows, fc1.depth()) + integer_units(fc2, rows, fc2.chunk()));
  };
  for (const auto& block : layers.blocks) {
    add(block.mlp);
    if (block.shared.fc1.defined()) {
      add(block.shared);
    }
  }
  return {.hidden = take_rows(arena, layers.values, rows, hidden),
          .integers = take_integers(arena, units, 2 * rows)};
}

/// Memory for `rows` rows before any of the model's linear maps of attention.
IntegerScratch take_attention_integers(Arena& arena, const PackedLayers& layers, int64_t rows) {
  int64_t units = 0;
  for (const auto& block : layers.blocks) {
    units = std::max(units, integer_units(block.qkv, rows, layers.options.dim));
  }
  return take_integers(arena, units, rows);
}

}  // namespace

BlockPass::BlockPass(const PackedLayers& layers)
    : layers_(layers),
      block_rows_(block_rows_of(layers)),
      mixing_(layers, block_rows_),
      sparse_(layers, block_rows_),
      merging_(layers, block_rows_) {
  const auto& options = layers_.options;
  attention_ = {.precision = layers_.values,
                .tokens = 0,
                .heads = options.heads,
                .head_dim = options.dim / options.heads,
                .norm_eps = static_cast<float>(options.norm_eps),
                .causal = layers_.causal};
}

BlockPass::ThreadMemory BlockPass::take_thread_memory(Arena& arena) const {
  auto longest = attention_;
  longest.tokens = sequences().max_tokens();
  if (layers_.options.qk_norm) {
    longest.query_norm = layers_.blocks.front().query_norm.const_data_ptr<float>();
  }
  ThreadMemory memory;
  memory.normed = take_rows(arena, layers_.values, block_rows_, dim());
  memory.attention = arena.take<kernels::Unit>(kernels::table().attend_scratch(longest));
  memory.mixing = mixing_.take_scratch(arena);
  memory.merging = merging_.take_scratch(arena);
  memory.mlp = take_mlp_scratch(arena, layers_,
                                std::max(block_rows_, mixing_.expert_rows(sequences().count())));
  memory.integers = take_attention_integers(arena, layers_, block_rows_);
  return memory;
}

void BlockPass::reserve(const SequenceRows& sequences, int64_t threads) {
  if (has_memory_ && threads == batch_.threads() && sequences == batch_.sequences()) {
    return;
  }
  has_memory_ = false;  // until there is memory, which may run out
  batch_ = DividedSequences(sequences, threads, block_rows_);
  const int64_t rows = sequences.rows();
  const bool decides = std::any_of(layers_.blocks.begin(), layers_.blocks.end(),
                                   [](const auto& block) { return block.router.defined(); });
  arena_.lay_out([&](Arena& arena) {
    x_ = arena.take<float>(rows * dim());
    qkv_ = take_rows(arena, layers_.values, batch_.row_places(), 3 * dim());
    mixed_ = take_rows(arena, layers_.values, rows, dim());
    mixing_.take_memory(arena, batch_, x_, mixed_);
    normed_ = decides ? arena.take<float>(rows * dim()) : nullptr;
    thread_memory_.clear();
    for (int64_t thread = 0; thread < threads; ++thread) {
      thread_memory_.push_back(take_thread_memory(arena));
    }
  });
  has_memory_ = true;
}

void BlockPass::run(const SequenceRows& sequences, const TokenContext& context, const Step& start,
                    const Step& finish) {
  reserve(sequences, at::get_num_threads());
  const auto& blocks = layers_.blocks;
  const PackedBlock* decided = nullptr;  // its router has decided, its experts are to be run
  for (auto next = blocks.begin();;) {
    const auto deciding =
        std::find_if(next, blocks.end(), [](const auto& block) { return block.router.defined(); });
    const bool is_last = deciding == blocks.end();
    const auto end = is_last ? deciding : deciding + 1;
    run_team([&](const ThreadTeam& team) {
      decided != nullptr ? run_decided(team, *decided) : start(team, x_);
      // Before and between blocks, threads divide rows differently.
      team.barrier();
      std::for_each(next, end, [&](const auto& block) { run_block(team, block); });
      if (is_last) {
        team.barrier();
        finish(team, x_);
      }
    });
    if (is_last) {
      return;
    }
    decide(*deciding, context);
    decided = &*deciding;
    next = end;
  }
}

/// The decision of the block's router on the tokens in normed_, which finish_rows() left there.
void BlockPass::decide(const PackedBlock& block, const TokenContext& context) {
  const auto& texts = context.sequences;
  const std::array<int64_t, 3> shape{texts.empty() ? sequences().count() : 1,
                                     texts.empty() ? sequences().max_tokens() : sequences().rows(),
                                     dim()};
  const auto tokens = at::from_blob(normed_, shape, torch::kFloat32);  // [batch, tokens, dim]
  if (block.router.merges && !texts.empty()) {
    std::vector<torch::Tensor> weights;
    for (const auto& run : split_runs(tokens, texts)) {
      weights.push_back(block.router.decide(run, {}).merge_weights);  // [count, experts]
    }
    merging_.take(block, at::cat(weights));
    return;
  }
  const auto routed = block.router.decide(tokens, context);
  if (routed.passthrough.defined()) {
    auto x = at::from_blob(x_, shape, torch::kFloat32);  // [batch, tokens, dim]
    const auto& scale = block.router.layer_scale;        // [dim]
    x.add_(scale.defined() ? routed.passthrough * scale : routed.passthrough);
  }
  if (block.router.merges) {
    merging_.take(block, routed.merge_weights);
  } else {
    sparse_.take(routed.rows, batch_.threads());
  }
}

/// The experts of a block whose router has decided.
void BlockPass::run_decided(const ThreadTeam& team, const PackedBlock& block) {
  const auto& memory = memory_of(team);
  if (block.router.merges) {
    merging_.run(block, team, sequences(), normed_, x_, memory.normed, memory.mlp, memory.merging);
  } else {
    sparse_.run(block, team, normed_, x_, memory.normed, memory.mlp);
  }
}

void BlockPass::run_block(const ThreadTeam& team, const PackedBlock& block) {
  const auto& memory = memory_of(team);
  for_each_portion(team, batch_, [&](const Portion& portion) {
    project_queries(block, portion, memory);
    portion.barrier();
    attend(block, portion, memory);
    portion.barrier();
    finish_rows(block, portion, memory);
    if (block.mixing.defined()) {
      portion.barrier();
      mixing_.fill_slots(block.mixing, portion, memory.mixing);
    }
  });
  if (block.mixing.defined()) {
    team.barrier();
    mixing_.run_experts(block, team, memory.mlp);
    team.barrier();
    for_each_portion(team, batch_, [&](const Portion& portion) {
      mixing_.combine_slots(block.mixing, portion, memory.mixing);
    });
  }
}

/// Queries, keys and values of all heads.
void BlockPass::project_queries(const PackedBlock& block, const Portion& portion,
                                const ThreadMemory& memory) {
  for_each_block(portion.rows(), block_rows_, [&](int64_t row, int64_t count) {
    const auto normed = memory.normed.part(0, count);
    kernels::table().norm_rows(block.norm1.rows(), x_ + row * dim(), dim(), count,
                               normed.values.fp32, normed.stride, normed.values.bf16,
                               normed.stride);
    const auto out = qkv_.part(portion.row_place(row), count);
    multiply(block.qkv, {}, operand_of(block.qkv, normed, dim(), memory.integers), count,
             {.out = out.values, .out_stride = out.stride});
  });
}

void BlockPass::attend(const PackedBlock& block, const Portion& portion,
                       const ThreadMemory& memory) {
  auto attention = attention_;
  if (block.query_norm.defined()) {
    attention.query_norm = block.query_norm.const_data_ptr<float>();
    attention.key_norm = block.key_norm.const_data_ptr<float>();
  }
  const auto share = portion.of(attention.heads);
  for (int64_t index = share.first; index < share.last; ++index) {
    const int64_t sequence = index / attention.heads;
    const int64_t row = sequences().first_row(sequence);
    attention.tokens = sequences().tokens(sequence);
    const auto qkv = qkv_.part(portion.row_place(row), attention.tokens);
    const auto mixed = mixed_.part(row, attention.tokens);
    kernels::table().attend(attention, index % attention.heads, qkv.source(), qkv.stride,
                            mixed.values, mixed.stride, memory.attention);
  }
}

/// The projection of attention, the weights of slots or the inputs of a router, and the MLP.
void BlockPass::finish_rows(const PackedBlock& block, const Portion& portion,
                            const ThreadMemory& memory) {
  const int64_t dim = layers_.options.dim;
  for_each_block(portion.rows(), block_rows_, [&](int64_t row, int64_t count) {
    const kernels::ProductFinish add_to_x{
        .out = {.fp32 = x_ + row * dim}, .out_stride = dim, .accumulate = true};
    const auto mixed = mixed_.part(row, count);
    multiply(block.proj, {}, operand_of(block.proj, mixed, dim, memory.integers), count, add_to_x);
    if (block.mixing.defined()) {
      mixing_.weigh_slots(block, row, count, memory.mixing);
    } else if (block.router.defined()) {
      kernels::table().norm_rows(block.norm2.rows(), x_ + row * dim, dim, count,
                                 normed_ + row * dim, dim, nullptr, 0);
    }
    const bool has_moe = block.mixing.defined() || block.router.defined();
    const auto& mlp = has_moe ? block.shared : block.mlp;
    if (!mlp.fc1.defined()) {
      return;
    }
    const auto normed = memory.normed.part(0, count);
    kernels::table().norm_rows(block.norm2.rows(), x_ + row * dim, dim, count, normed.values.fp32,
                               normed.stride, normed.values.bf16, normed.stride);
    multiply_mlp(mlp, /*expert=*/0, layers_.activation, normed, add_to_x, memory.mlp,
                 /*next=*/nullptr);
  });
}

}  // namespace softmoe
