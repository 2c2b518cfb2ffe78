#include "inference/packed/head_pass.h"

#include <algorithm>
#include <cmath>

#include "kernels/table.h"

namespace softmoe {

using kernels::Unit;

HeadPass::Scratch HeadPass::take_scratch(Arena& arena) const {
  return {.row = arena.take<float>(layers_.options.dim),
          .pooled = arena.take<float>(layers_.options.pooled_dim())};
}

void HeadPass::pool(const ThreadTeam& team, const float* x, int64_t batch, const Scratch& scratch,
                    float* features) const {
  const auto& options = layers_.options;
  const auto share = team.share(batch);
  for (int64_t image = share.first; image < share.last; ++image) {
    pool_image(x + image * options.tokens() * options.dim, scratch,
               features + image * options.feature_dim());
  }
}

void HeadPass::finish(const float* pooled, int64_t batch, const Scratch& scratch,
                      float* features) const {
  const auto& options = layers_.options;
  for (int64_t image = 0; image < batch; ++image) {
    finish_image(pooled + image * options.dim, options.final_norm == FinalNorm::kTokens, scratch,
                 features + image * options.feature_dim());
  }
}

/// The features of one image from its tokens `x`.
void HeadPass::pool_image(const float* x, const Scratch& scratch, float* features) const {
  const auto& options = layers_.options;
  const int64_t dim = options.dim;
  if (options.global_pool == GlobalPool::kToken) {
    finish_image(x, /*is_normed=*/false, scratch, features);
    if (options.dist_token) {
      finish_image(x + dim, /*is_normed=*/false, scratch, features + options.head_inputs());
    }
    return;
  }
  const bool norm_first = options.final_norm == FinalNorm::kTokens;
  const float share = 1.0F / static_cast<float>(options.pooled_tokens());
  float* mean = scratch.pooled;
  if (options.global_pool == GlobalPool::kTokenAvg) {
    kernels::table().norm_rows(layers_.norm.rows(), x, dim, 1, scratch.pooled, dim, nullptr, 0);
    mean += dim;
  }
  std::fill_n(mean, dim, 0.0F);
  for (int64_t token = options.first_pooled_token(); token < options.tokens(); ++token) {
    const float* values = x + token * dim;
    if (norm_first) {
      kernels::table().norm_rows(layers_.norm.rows(), values, dim, 1, scratch.row, dim, nullptr, 0);
      values = scratch.row;
    }
    for (int64_t channel = 0; channel < dim; ++channel) {
      mean[channel] += share * values[channel];
    }
  }
  finish_image(scratch.pooled, norm_first, scratch, features);
}

/// The features of one image from one vector `pooled`.
void HeadPass::finish_image(const float* pooled, bool is_normed, const Scratch& scratch,
                            float* features) const {
  const int64_t dim = layers_.options.dim;
  const int64_t inputs = layers_.options.pooled_dim();
  const int64_t outputs = layers_.options.head_inputs();
  if (!is_normed) {
    kernels::table().norm_rows(layers_.norm.rows(), pooled, dim, 1, scratch.row, dim, nullptr, 0);
    pooled = scratch.row;
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

void HeadPass::run(const float* features, int64_t batch, float* logits) const {
  const auto& options = layers_.options;
  const int64_t inputs = options.head_inputs();
  run_team([&](const ThreadTeam& team) {
    const auto columns = team.share(options.num_classes, kernels::kPanelColumns);
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
