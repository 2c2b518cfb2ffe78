#include "inference/packed/packed_pass.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>

namespace softmoe {

using kernels::Unit;

namespace {

/// What a block of rows may take of the second-level cache.
constexpr int64_t kBlockBytes = 600 << 10;
/// Rows of a tile of a product, of which blocks are made.
constexpr int64_t kTileRows = 14;
constexpr int64_t kMostTiles = 14;

}  // namespace

/// Hands out parts of one piece of memory; without memory it counts what is needed.
class PackedPass::Plan {
 public:
  explicit Plan(std::byte* memory) : memory_(memory) {}

  template <typename T>
  T* take(int64_t count) {
    const int64_t first = used_;
    used_ += kernels::round_up(count * int64_t{sizeof(T)}, 64);
    return memory_ != nullptr ? reinterpret_cast<T*>(memory_ + first) : nullptr;
  }
  ValueRows take_rows(Precision values, int64_t count, int64_t columns) {
    const int64_t stride = row_stride(values, columns);
    if (values == Precision::kFloat32) {
      return {{.fp32 = take<float>(count * stride)}, stride, count};
    }
    return {{.bf16 = take<kernels::Bf16>(count * stride)}, stride, count};
  }
  IntegerScratch take_integers(int64_t units, int64_t rows) {
    if (units == 0) {
      return {};
    }
    return {take<Unit>(units), take<float>(rows), take<float>(rows)};
  }
  int64_t used() const { return used_; }

 private:
  std::byte* memory_;
  int64_t used_ = 0;
};

PackedPass::PackedPass(PackedLayers layers) : layers_(std::move(layers)) {
  const auto& options = layers_.options;
  attention_ = {.precision = layers_.values,
                .tokens = options.tokens(),
                .heads = options.heads,
                .head_dim = options.dim / options.heads,
                .norm_eps = static_cast<float>(options.norm_eps)};
  const int64_t value_bytes = layers_.values == Precision::kFloat32 ? 4 : 2;
  const int64_t hidden = std::min<int64_t>(options.mlp_dim, 1024);
  const int64_t row_bytes = options.dim * 4 + (options.dim + hidden) * value_bytes;
  block_rows_ = kTileRows * std::clamp<int64_t>(kBlockBytes / row_bytes / kTileRows, 1, kMostTiles);
  for (const auto& block : layers_.blocks) {
    most_slots_ = std::max(most_slots_, block.mixing.slots());
    most_slots_per_expert_ = std::max(most_slots_per_expert_, block.mixing.slots_per_expert);
  }
}

PackedPass::ThreadMemory PackedPass::plan_thread(Plan& plan) const {
  const auto& options = layers_.options;
  const Precision values = layers_.values;
  ThreadMemory memory;
  memory.normed = plan.take_rows(values, block_rows_, options.dim);
  const int64_t pixels = options.in_chans * options.patch_size * options.patch_size;
  memory.pixels = plan.take_rows(layers_.patch.precision(), block_rows_, pixels);
  memory.patch = plan.take<float>(pixels);
  memory.attention = plan.take<Unit>(kernels::attention_scratch(attention_));
  memory.row = plan.take<float>(options.dim);
  memory.pooled = plan.take<float>(options.pooled_dim());
  int64_t rows = block_rows_;
  if (most_slots_ > 0) {
    rows = std::max(rows, std::min(kExpertRows, batch_ * most_slots_per_expert_));
    memory.normed_fp32 = plan.take<float>(block_rows_ * options.dim);
    memory.logits = plan.take<float>(block_rows_ * kernels::round_up(most_slots_, 32));
    memory.factors = plan.take<float>(block_rows_);
    memory.powers = plan.take<Unit>(kernels::units_of(values, options.tokens()) * 32);
    memory.slots = plan.take_rows(values, 32, options.dim);
    memory.sums = plan.take<float>(32);
  }
  int64_t hidden = 0;
  int64_t mlp_units = 0;
  int64_t units = 0;
  for (const auto& block : layers_.blocks) {
    const auto& [fc1, fc2] = block.mlp;
    hidden = std::max(hidden, fc2.chunk());
    mlp_units = std::max(
        mlp_units, integer_units(fc1, rows, fc1.depth()) + integer_units(fc2, rows, fc2.chunk()));
    units = std::max(units, integer_units(block.qkv, block_rows_, options.dim));
  }
  memory.mlp.hidden = plan.take_rows(values, rows, hidden);
  memory.mlp.integers = plan.take_integers(mlp_units, 2 * rows);
  memory.integers = plan.take_integers(units, block_rows_);
  return memory;
}

int64_t PackedPass::plan(Plan& plan, int64_t threads) {
  const auto& options = layers_.options;
  const Precision values = layers_.values;
  // Portion::place() is below this.
  const int64_t places = shares_out(threads) ? threads : batch_;
  x_ = plan.take<float>(rows() * options.dim);
  qkv_ = plan.take_rows(values, places * options.tokens(), 3 * options.dim);
  mixed_ = plan.take_rows(values, rows(), options.dim);
  if (most_slots_ > 0) {
    const int64_t panels = kernels::panels_of(options.dim) * kernels::kUnitColumns;
    powers_ = plan.take_rows(values, rows(), kernels::round_up(most_slots_, 2));
    inverse_sums_ = plan.take<float>(rows());
    packed_tokens_ = plan.take<Unit>(places * panels * kernels::units_of(values, options.tokens()));
    packed_slots_ = plan.take<Unit>(places * panels * kernels::units_of(values, most_slots_));
    expert_rows_ = plan.take_rows(values, batch_ * most_slots_, options.dim);
  }
  thread_memory_.clear();
  for (int64_t thread = 0; thread < threads; ++thread) {
    thread_memory_.push_back(plan_thread(plan));
  }
  return plan.used();
}

void PackedPass::reserve(int64_t batch, int64_t threads) {
  if (batch == batch_ && threads == threads_) {
    return;
  }
  batch_ = batch;
  threads_ = threads;
  Plan needed(nullptr);
  const int64_t bytes = plan(needed, threads);
  if (!memory_.defined() || memory_.numel() < bytes) {
    memory_ = torch::Tensor();
    memory_ = at::empty({bytes}, torch::kUInt8);
  }
  Plan real(static_cast<std::byte*>(memory_.data_ptr()));
  plan(real, threads);
}

void PackedPass::run_features(const float* images, int64_t batch, float* features) {
  reserve(batch, at::get_num_threads());
  run_team([&](const Team& team) {
    run_blocks(team, images);
    team.barrier();
    pool(team, features);
  });
}

void PackedPass::run_tokens(const float* images, int64_t batch, float* tokens) {
  reserve(batch, at::get_num_threads());
  const int64_t dim = layers_.options.dim;
  run_team([&](const Team& team) {
    run_blocks(team, images);
    const auto share = team.share(rows());
    const int64_t at = share.first * dim;
    const int64_t count = share.last - share.first;
    if (layers_.options.final_norm == FinalNorm::kTokens) {
      kernels::norm_rows(layers_.norm.rows(), x_ + at, dim, count, tokens + at, dim, nullptr, 0);
    } else {
      std::copy_n(x_ + at, count * dim, tokens + at);
    }
  });
}

void PackedPass::run_blocks(const Team& team, const float* images) {
  embed(team, images);
  for (const auto& block : layers_.blocks) {
    run_block(team, block);
  }
}

void PackedPass::run_block(const Team& team, const PackedBlock& block) {
  for_each_portion(team, [&](const Portion& portion) {
    project_queries(portion, block);
    portion.barrier();
    attend(portion, block);
    portion.barrier();
    finish_block(portion, block);
    if (block.mixing.defined()) {
      portion.barrier();
      pack_tokens(portion);
      portion.barrier();
      fill_slots(portion, block.mixing);
    }
  });
  if (block.mixing.defined()) {
    team.barrier();
    run_experts(team, block);
    team.barrier();
    for_each_portion(team, [&](const Portion& portion) {
      pack_slots(portion, block.mixing);
      portion.barrier();
      combine_slots(portion, block.mixing);
    });
  }
}

void PackedPass::project_queries(const Portion& portion, const PackedBlock& block) {
  const int64_t dim = layers_.options.dim;
  const int64_t tokens = layers_.options.tokens();
  for_each_block(portion.of(tokens), [&](int64_t row, int64_t count) {
    const auto normed = portion.memory.normed.part(0, count);
    kernels::norm_rows(block.norm1.rows(), x_ + row * dim, dim, count, normed.values.fp32,
                       normed.stride, normed.values.bf16, normed.stride);
    const auto out = qkv_.part(portion.place(0) * tokens + row, count);
    multiply(block.qkv, {}, operand_of(block.qkv, normed, dim, portion.memory.integers), count,
             {.out = out.values, .out_stride = out.stride});
  });
}

void PackedPass::attend(const Portion& portion, const PackedBlock& block) {
  auto attention = attention_;
  if (block.query_norm.defined()) {
    attention.query_norm = block.query_norm.const_data_ptr<float>();
    attention.key_norm = block.key_norm.const_data_ptr<float>();
  }
  const auto share = portion.of(attention.heads);
  for (int64_t index = share.first; index < share.last; ++index) {
    const int64_t image = index / attention.heads;
    const auto qkv = qkv_.part(portion.place(image) * attention.tokens, attention.tokens);
    const auto mixed = mixed_.part(image * attention.tokens, attention.tokens);
    kernels::attend(attention, index % attention.heads, qkv.source(), qkv.stride, mixed.values,
                    mixed.stride, portion.memory.attention);
  }
}

void PackedPass::finish_block(const Portion& portion, const PackedBlock& block) {
  const auto& memory = portion.memory;
  const int64_t dim = layers_.options.dim;
  for_each_block(portion.of(layers_.options.tokens()), [&](int64_t row, int64_t count) {
    const kernels::ProductFinish add_to_x{
        .out = {.fp32 = x_ + row * dim}, .out_stride = dim, .accumulate = true};
    const auto mixed = mixed_.part(row, count);
    multiply(block.proj, {}, operand_of(block.proj, mixed, dim, memory.integers), count, add_to_x);
    if (block.mixing.defined()) {
      weigh_slots(block, memory, row, count);
      return;
    }
    const auto normed = memory.normed.part(0, count);
    kernels::norm_rows(block.norm2.rows(), x_ + row * dim, dim, count, normed.values.fp32,
                       normed.stride, normed.values.bf16, normed.stride);
    multiply_mlp(block.mlp, /*expert=*/0, layers_.activation, normed, add_to_x, memory.mlp,
                 /*next=*/nullptr);
  });
}

}  // namespace softmoe
