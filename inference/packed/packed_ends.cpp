// The two ends of the packed forward pass: pixels to tokens, and tokens to logits.

#include <algorithm>
#include <cmath>
#include <cstring>

#include "inference/packed/packed_pass.h"

namespace softmoe {

using kernels::Unit;

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
    kernels::encode_row(layers_.patch.precision(), {.fp32 = memory.patch}, pixels, 1.0F,
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

void PackedPass::run_pooled(const float* pooled, int64_t batch, float* features) {
  const auto& options = layers_.options;
  for (int64_t image = 0; image < batch; ++image) {
    finish_pooled(thread_memory_.front(), pooled + image * options.dim,
                  options.final_norm == FinalNorm::kTokens,
                  features + image * options.feature_dim());
  }
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
  const float share = 1.0F / static_cast<float>(options.pooled_tokens());
  float* mean = memory.pooled;
  if (options.global_pool == GlobalPool::kTokenAvg) {
    kernels::norm_rows(layers_.norm.rows(), x, dim, 1, memory.pooled, dim, nullptr, 0);
    mean += dim;
  }
  std::fill_n(mean, dim, 0.0F);
  for (int64_t token = options.first_pooled_token(); token < options.tokens(); ++token) {
    const float* values = x + token * dim;
    if (norm_first) {
      kernels::norm_rows(layers_.norm.rows(), values, dim, 1, memory.row, dim, nullptr, 0);
      values = memory.row;
    }
    for (int64_t channel = 0; channel < dim; ++channel) {
      mean[channel] += share * values[channel];
    }
  }
  finish_pooled(memory, memory.pooled, norm_first, features);
}

void PackedPass::finish_pooled(const ThreadMemory& memory, const float* pooled, bool normed,
                               float* features) {
  const int64_t dim = layers_.options.dim;
  const int64_t inputs = layers_.options.pooled_dim();
  const int64_t outputs = layers_.options.head_inputs();
  if (!normed) {
    kernels::norm_rows(layers_.norm.rows(), pooled, dim, 1, memory.row, dim, nullptr, 0);
    pooled = memory.row;
  }
  if (!layers_.pre_logits.defined()) {
    std::copy_n(pooled, inputs, features);
    return;
  }
  multiply(layers_.pre_logits, {}, {.left = {reinterpret_cast<const Unit*>(pooled), inputs}},
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
