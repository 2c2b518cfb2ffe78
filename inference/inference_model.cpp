#include "inference/inference_model.h"

#include <ATen/ops/empty.h>

#include <mutex>

#include "checkpoints/load_into.h"
#include "checkpoints/model_checkpoint.h"
#include "core/error.h"
#include "core/tensor_check.h"
#include "inference/modules/device_engine.h"
#include "inference/packed/packed_pass.h"
#include "ops/initialization.h"
#include "runtime/autocast_guard.h"
#include "runtime/compute_precision.h"

namespace softmoe {
namespace {

class PackedEngine final : public InferenceEngine {
 public:
  PackedEngine(const VitOptions& options, NamedTensors weights, Precision precision)
      : InferenceEngine(precision, torch::kCPU),
        pool_(take_pool(options, weights)),
        pass_(pack_layers(options, std::move(weights), precision)) {}

  const VitOptions& options() const override { return pass_.layers().options; }
  int64_t weight_bytes() const override { return pass_.layers().bytes(); }

  torch::Tensor features(const torch::Tensor& images) override {
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

  torch::Tensor logits(const torch::Tensor& features) override {
    const auto rows = features.to(torch::kCPU, torch::kFloat32).contiguous();
    auto out = at::empty({rows.size(0), options().num_classes}, torch::kFloat32);
    const std::scoped_lock lock(mutex_);
    pass_.run_head(rows.const_data_ptr<float>(), rows.size(0), out.data_ptr<float>());
    return out;  // [batch, num_classes]
  }

 private:
  /// Attention pooling is a small part of the work: it stays a module.
  static AttentionPool take_pool(const VitOptions& options, NamedTensors& weights) {
    if (options.global_pool != GlobalPool::kMap) {
      return nullptr;
    }
    const std::string prefix = "attn_pool.";
    NamedTensors own;
    std::erase_if(weights, [&](const auto& item) {
      const bool taken = item.first.starts_with(prefix);
      if (taken) {
        own[item.first.substr(prefix.size())] = item.second;
      }
      return taken;
    });
    const SkipInitialization skip;
    AttentionPool pool(options);
    load_into(*pool, own, "attention pooling");
    pool->eval();
    return pool;
  }

  AttentionPool pool_;
  PackedPass pass_;
  std::mutex mutex_;
};

/// The modules as they are, for CPUs and routers that nothing is packed for.
class ModuleEngine final : public InferenceEngine {
 public:
  ModuleEngine(VisionTransformer model, Precision precision)
      : InferenceEngine(precision, torch::kCPU), model_(std::move(model)) {
    check_module_dtype(precision);
    model_->eval();
  }

  const VitOptions& options() const override { return model_->options(); }

  torch::Tensor features(const torch::Tensor& images) override {
    const std::scoped_lock lock(mutex_);
    const AutocastGuard autocast(device(), autocast_dtype());
    const auto pixels = images.to(device(), weights_dtype());
    return model_->forward_features(pixels).to(torch::kFloat32);  // [batch, feature_dim]
  }

  torch::Tensor logits(const torch::Tensor& features) override {
    const std::scoped_lock lock(mutex_);
    const AutocastGuard autocast(device(), autocast_dtype());
    const auto rows = features.to(device(), weights_dtype());
    return model_->forward_head(rows).to(torch::kFloat32);  // [batch, num_classes]
  }

 private:
  torch::Dtype weights_dtype() const { return model_->parameters().front().scalar_type(); }
  torch::Dtype autocast_dtype() const { return tensor_dtype(precision()); }

  VisionTransformer model_;
  std::mutex mutex_;
};

}  // namespace

InferenceModel::InferenceModel(VisionTransformer model, Precision precision) {
  const auto options = model->options();
  const auto device = model->parameters().front().device();
  auto weights = named_tensors(*model);
  const bool packs = device.is_cpu() && can_pack(options, weights, precision);
  if (device.is_cpu() && !packs) {
    engine_ = std::make_unique<ModuleEngine>(std::move(model), precision);
    return;
  }
  model = nullptr;
  if (packs) {
    engine_ = std::make_unique<PackedEngine>(options, std::move(weights), precision);
  } else {
    engine_ = std::make_unique<DeviceEngine>(options, std::move(weights), precision, device);
  }
}

InferenceModel::InferenceModel(const VitOptions& options, NamedTensors weights,
                               const std::string& where, Precision precision,
                               const torch::Device& device) {
  check_fit(*unfilled_model(options), weights, where);
  if (!device.is_cpu()) {
    engine_ = std::make_unique<DeviceEngine>(options, std::move(weights), precision, device);
    return;
  }
  if (can_pack(options, weights, precision)) {
    engine_ = std::make_unique<PackedEngine>(options, std::move(weights), precision);
    return;
  }
  auto model = unfilled_model(options, torch::kFloat32);
  load_into(*model, weights, where, {.share_memory = true});
  weights.clear();
  engine_ = std::make_unique<ModuleEngine>(std::move(model), precision);
}

InferenceModel::~InferenceModel() = default;
InferenceModel::InferenceModel(InferenceModel&&) noexcept = default;
InferenceModel& InferenceModel::operator=(InferenceModel&&) noexcept = default;

const VitOptions& InferenceModel::options() const { return engine_->options(); }
Precision InferenceModel::precision() const { return engine_->precision(); }
const torch::Device& InferenceModel::device() const { return engine_->device(); }
bool InferenceModel::is_packed() const { return engine_->weight_bytes() > 0; }
int64_t InferenceModel::weight_bytes() const { return engine_->weight_bytes(); }

torch::Tensor InferenceModel::forward_features(const torch::Tensor& images) {
  const torch::InferenceMode inference;
  check_shape("InferenceModel: images", images,
              {-1, options().in_chans, options().image_height(), options().image_width()});
  return engine_->features(images);
}

torch::Tensor InferenceModel::forward_head(const torch::Tensor& features) {
  const torch::InferenceMode inference;
  check_shape("InferenceModel: features", features, {-1, options().feature_dim()});
  return options().num_classes > 0 ? engine_->logits(features) : features;
}

torch::Tensor InferenceModel::forward(const torch::Tensor& images) {
  return forward_head(forward_features(images));
}

}  // namespace softmoe
