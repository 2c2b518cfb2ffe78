#include "inference/packed_pass.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace softmoe {

using kernels::Arithmetic;
using kernels::Unit;

namespace {

/// What a block of rows may take of the second-level cache.
constexpr int64_t kBlockBytes = 600 << 10;
/// Rows of a tile of a product, of which blocks are made.
constexpr int64_t kTileRows = 14;
constexpr int64_t kMostTiles = 14;
/// Rows of one expert that go through it at a time.
constexpr int64_t kExpertRows = 84;

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
  ValueRows take_rows(Arithmetic values, int64_t count, int64_t columns) {
    const int64_t stride = row_stride(values, columns);
    if (values == Arithmetic::kFloat32) {
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
  attention_ = {.arithmetic = layers_.values,
                .tokens = options.tokens(),
                .heads = options.heads,
                .head_dim = options.dim / options.heads,
                .norm_eps = static_cast<float>(options.norm_eps)};
  const int64_t value_bytes = layers_.values == Arithmetic::kFloat32 ? 4 : 2;
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
  const Arithmetic values = layers_.values;
  ThreadMemory memory;
  memory.normed = plan.take_rows(values, block_rows_, options.dim);
  const int64_t pixels = options.in_chans * options.patch_size * options.patch_size;
  memory.pixels = plan.take_rows(values, block_rows_, pixels);
  memory.patch = plan.take<float>(pixels);
  memory.attention = plan.take<Unit>(kernels::attention_scratch(attention_));
  memory.row = plan.take<float>(options.dim);
  memory.pooled = plan.take<float>(options.dim);
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
  const Arithmetic values = layers_.values;
  x_ = plan.take<float>(rows() * options.dim);
  qkv_ = plan.take_rows(values, rows(), 3 * options.dim);
  mixed_ = plan.take_rows(values, rows(), options.dim);
  if (most_slots_ > 0) {
    const int64_t panels = kernels::panels_of(options.dim) * kernels::kUnitColumns;
    powers_ = plan.take_rows(values, rows(), kernels::round_up(most_slots_, 2));
    inverse_sums_ = plan.take<float>(rows());
    packed_tokens_ = plan.take<Unit>(batch_ * panels * kernels::units_of(values, options.tokens()));
    packed_slots_ = plan.take<Unit>(batch_ * panels * kernels::units_of(values, most_slots_));
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

void PackedPass::run_pooled(const float* pooled, int64_t batch, float* features) {
  const auto& options = layers_.options;
  for (int64_t image = 0; image < batch; ++image) {
    finish_pooled(thread_memory_.front(), pooled + image * options.dim,
                  options.final_norm == FinalNorm::kTokens,
                  features + image * options.feature_dim());
  }
}

void PackedPass::run_blocks(const Team& team, const float* images) {
  embed(team, images);
  for (const auto& block : layers_.blocks) {
    run_block(team, block);
  }
}

void PackedPass::embed_patches(const ThreadMemory& memory, const float* image, int64_t image_index,
                               int64_t first, int64_t count) {
  const auto& options = layers_.options;
  const int64_t patch = options.patch_size;
  const int64_t width = options.image_width();
  const int64_t plane = options.image_height() * width;
  const int64_t pixels = options.in_chans * patch * patch;
  for (int64_t index = 0; index < count; ++index) {
    const int64_t row = (first + index) / options.grid_width();
    const int64_t column = (first + index) % options.grid_width();
    const float* const corner = image + (row * width + column) * patch;
    float* target = memory.patch;
    for (int64_t channel = 0; channel < options.in_chans; ++channel) {
      for (int64_t line = 0; line < patch; ++line) {
        std::memcpy(target, corner + channel * plane + line * width,
                    static_cast<size_t>(patch) * sizeof(float));
        target += patch;
      }
    }
    const auto out = memory.pixels.part(index, 1).values;
    kernels::encode_row(layers_.values, {.fp32 = memory.patch}, pixels, 1.0F,
                        out.bf16 != nullptr ? reinterpret_cast<Unit*>(out.bf16)
                                            : reinterpret_cast<Unit*>(out.fp32));
  }
  const int64_t token = options.prefix_tokens() + first;
  float* const x = x_ + (image_index * options.tokens() + token) * options.dim;
  std::memcpy(x, layers_.positions.const_data_ptr<float>() + token * options.dim,
              static_cast<size_t>(count * options.dim) * sizeof(float));
  multiply(layers_.patch, {}, operand_of(layers_.patch, memory.pixels.part(0, count), pixels, {}),
           count, {.out = {.fp32 = x}, .out_stride = options.dim, .accumulate = true});
}

void PackedPass::embed(const Team& team, const float* images) {
  const auto& options = layers_.options;
  const auto& memory = thread_memory_[static_cast<size_t>(team.rank)];
  const int64_t dim = options.dim;
  const int64_t prefix = options.prefix_tokens();
  const int64_t patches = options.patches();
  const int64_t values = options.in_chans * options.image_height() * options.image_width();
  const auto share = team.share(batch_ * patches);
  for (int64_t at = share.first; at < share.last;) {
    const int64_t image = at / patches;
    const int64_t last = std::min(share.last, (image + 1) * patches);
    for_each_block({at, last}, [&](int64_t first, int64_t count) {
      embed_patches(memory, images + image * values, image, first - image * patches, count);
    });
    at = last;
  }
  const auto of_images = team.share(batch_);
  for (int64_t image = of_images.first; image < of_images.last; ++image) {
    std::memcpy(x_ + image * options.tokens() * dim, layers_.positions.const_data_ptr<float>(),
                static_cast<size_t>(prefix * dim) * sizeof(float));
  }
  // Threads take rows of all tokens from here on.
  team.barrier();
  if (layers_.pre_norm.defined()) {
    const auto of_rows = team.share(rows());
    float* const x = x_ + of_rows.first * dim;
    kernels::norm_rows(layers_.pre_norm.rows(), x, dim, of_rows.last - of_rows.first, x, dim,
                       nullptr, 0);
  }
}

void PackedPass::run_block(const Team& team, const PackedBlock& block) {
  project_queries(team, block);
  team.barrier();
  attend(team, block);
  team.barrier();
  finish_block(team, block);
  if (block.mixing.defined()) {
    team.barrier();
    mix(team, block);
  }
}

void PackedPass::project_queries(const Team& team, const PackedBlock& block) {
  const auto& memory = thread_memory_[static_cast<size_t>(team.rank)];
  const int64_t dim = layers_.options.dim;
  for_each_block(team.share(rows()), [&](int64_t row, int64_t count) {
    const auto normed = memory.normed.part(0, count);
    kernels::norm_rows(block.norm1.rows(), x_ + row * dim, dim, count, normed.values.fp32,
                       normed.stride, normed.values.bf16, normed.stride);
    const auto out = qkv_.part(row, count);
    multiply(block.qkv, {}, operand_of(block.qkv, normed, dim, memory.integers), count,
             {.out = out.values, .out_stride = out.stride});
  });
}

void PackedPass::attend(const Team& team, const PackedBlock& block) {
  const auto& memory = thread_memory_[static_cast<size_t>(team.rank)];
  auto attention = attention_;
  if (block.query_norm.defined()) {
    attention.query_norm = block.query_norm.const_data_ptr<float>();
    attention.key_norm = block.key_norm.const_data_ptr<float>();
  }
  const auto share = team.share(batch_ * attention.heads);
  for (int64_t index = share.first; index < share.last; ++index) {
    const int64_t row = index / attention.heads * attention.tokens;
    const auto qkv = qkv_.part(row, attention.tokens);
    const auto mixed = mixed_.part(row, attention.tokens);
    kernels::attend(attention, index % attention.heads, qkv.source(), qkv.stride, mixed.values,
                    mixed.stride, memory.attention);
  }
}

void PackedPass::finish_block(const Team& team, const PackedBlock& block) {
  const auto& memory = thread_memory_[static_cast<size_t>(team.rank)];
  const int64_t dim = layers_.options.dim;
  for_each_block(team.share(rows()), [&](int64_t row, int64_t count) {
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

void PackedPass::pool(const Team& team, float* features) {
  const auto& options = layers_.options;
  const auto share = team.share(batch_);
  for (int64_t image = share.first; image < share.last; ++image) {
    pool_image(thread_memory_[static_cast<size_t>(team.rank)],
               x_ + image * options.tokens() * options.dim,
               features + image * options.feature_dim());
  }
}

void PackedPass::pool_image(const ThreadMemory& memory, const float* x, float* features) {
  const auto& options = layers_.options;
  const int64_t dim = options.dim;
  if (options.global_pool == GlobalPool::kToken) {
    finish_pooled(memory, x, /*normed=*/false, features);
    if (options.dist_token) {
      finish_pooled(memory, x + dim, /*normed=*/false, features + options.head_inputs());
    }
    return;
  }
  const bool norm_first = options.final_norm == FinalNorm::kTokens;
  const float share = 1.0F / static_cast<float>(options.patches());
  std::fill_n(memory.pooled, dim, 0.0F);
  for (int64_t token = options.prefix_tokens(); token < options.tokens(); ++token) {
    const float* values = x + token * dim;
    if (norm_first) {
      kernels::norm_rows(layers_.norm.rows(), values, dim, 1, memory.row, dim, nullptr, 0);
      values = memory.row;
    }
    for (int64_t channel = 0; channel < dim; ++channel) {
      memory.pooled[channel] += share * values[channel];
    }
  }
  finish_pooled(memory, memory.pooled, norm_first, features);
}

void PackedPass::finish_pooled(const ThreadMemory& memory, const float* pooled, bool normed,
                               float* features) {
  const int64_t dim = layers_.options.dim;
  const int64_t outputs = layers_.options.head_inputs();
  if (!normed) {
    kernels::norm_rows(layers_.norm.rows(), pooled, dim, 1, memory.row, dim, nullptr, 0);
    pooled = memory.row;
  }
  if (!layers_.pre_logits.defined()) {
    std::copy_n(pooled, dim, features);
    return;
  }
  multiply(layers_.pre_logits, {}, {.left = {reinterpret_cast<const Unit*>(pooled), dim}},
           /*rows=*/1, {.out = {.fp32 = features}, .out_stride = outputs});
  std::transform(features, features + outputs, features,
                 [](float value) { return std::tanh(value); });
}

void PackedPass::run_head(const float* features, int64_t batch, float* logits) {
  const auto& options = layers_.options;
  const int64_t inputs = options.head_inputs();
  run_team([&](const Team& team) {
    const auto columns = team.share(options.num_classes, kernels::kUnitColumns);
    if (columns.first == columns.last) {
      return;
    }
    for (size_t index = 0; index < layers_.heads.size(); ++index) {
      const float* const rows = features + static_cast<int64_t>(index) * inputs;
      const Operand operand{.left = {reinterpret_cast<const Unit*>(rows), options.feature_dim()}};
      multiply(layers_.heads[index],
               {.column = columns.first, .columns = columns.last - columns.first}, operand, batch,
               {.out = {.fp32 = logits + columns.first},
                .out_stride = options.num_classes,
                .accumulate = index > 0});
    }
  });
}

}  // namespace softmoe
