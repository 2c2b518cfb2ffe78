#include "inference/packed/packed_engine.h"

#include <ATen/ops/empty.h>

#include <utility>

#include "checkpoints/load_into.h"
#include "ops/compute_precision.h"
#include "ops/initialization.h"
#include "runtime/autocast_guard.h"

namespace softmoe {
namespace {

/// The module of attention pooling with its part of `weights`, which leaves them; null with other
/// pooling.
AttentionPool take_pool(const VitOptions& options, NamedTensors& weights) {
  if (options.global_pool != GlobalPool::kMap) {
    return nullptr;
  }
  const auto own = take_part(weights, "attn_pool.");
  const SkipInitialization skip;
  AttentionPool pool(options);
  load_into(*pool, own, "attention pooling");
  pool->eval();
  return pool;
}

}  // namespace

PackedEngine::PackedEngine(const VitOptions& options, NamedTensors weights, Precision precision)
    : InferenceEngine(precision, torch::kCPU),
      pool_(take_pool(options, weights)),
      pass_(pack_layers(options, std::move(weights), precision)) {}

torch::Tensor PackedEngine::features(const torch::Tensor& images) {
  const auto pixels = images.to(torch::kCPU, torch::kFloat32).contiguous();
  auto out = at::empty({pixels.size(0), options().feature_dim()}, torch::kFloat32);
  const std::scoped_lock lock(mutex_);
  const auto* const values = pixels.const_data_ptr<float>();
  const int64_t batch = pixels.size(0);
  if (!pool_) {
    pass_.run_features(values, batch, out.data_ptr<float>());
    return out;  // [batch, feature_dim]
  }
  const auto tokens = at::empty({batch, options().tokens(), options().dim}, torch::kFloat32);
  pass_.run_tokens(values, batch, tokens.data_ptr<float>());
  const AutocastGuard autocast(device(), tensor_dtype(precision()));
  const auto pooled = pool_(tokens.slice(1, options().first_pooled_token()))
                          .to(torch::kFloat32)
                          .contiguous();  // [batch, dim]
  pass_.run_pooled(pooled.const_data_ptr<float>(), batch, out.data_ptr<float>());
  return out;  // [batch, feature_dim]
}

torch::Tensor PackedEngine::logits(const torch::Tensor& features) {
  const auto rows = features.to(torch::kCPU, torch::kFloat32).contiguous();
  auto out = at::empty({rows.size(0), options().num_classes}, torch::kFloat32);
  const std::scoped_lock lock(mutex_);
  pass_.run_head(rows.const_data_ptr<float>(), rows.size(0), out.data_ptr<float>());
  return out;  // [batch, num_classes]
}

}  // namespace softmoe
