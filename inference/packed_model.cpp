#include "inference/packed_model.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <mutex>

#include "checkpoints/load_into.h"
#include "checkpoints/model_checkpoint.h"
#include "core/device.h"
#include "core/error.h"
#include "core/initialization.h"
#include "core/tensor_check.h"
#include "inference/packed_pass.h"

namespace softmoe {

/// What runs a model.
class PackedModel::Engine {
 public:
  Engine(InferenceDtype dtype, const torch::Device& device) : dtype_(dtype), device_(device) {}
  virtual ~Engine() = default;

  virtual const VitOptions& options() const = 0;
  virtual int64_t weight_bytes() const = 0;
  virtual torch::Tensor features(const torch::Tensor& images) = 0;
  virtual torch::Tensor logits(const torch::Tensor& features) = 0;

  InferenceDtype dtype() const { return dtype_; }
  const torch::Device& device() const { return device_; }

 private:
  InferenceDtype dtype_;
  torch::Device device_;
};

class PackedModel::PackedEngine final : public Engine {
 public:
  PackedEngine(const VitOptions& options, NamedTensors weights, InferenceDtype dtype)
      : Engine(dtype, torch::kCPU), pass_(pack_layers(options, std::move(weights), dtype)) {}

  const VitOptions& options() const override { return pass_.layers().options; }
  int64_t weight_bytes() const override { return pass_.layers().bytes(); }

  torch::Tensor features(const torch::Tensor& images) override {
    const auto pixels = images.to(torch::kCPU, torch::kFloat32).contiguous();
    auto out = at::empty({pixels.size(0), options().feature_dim()}, torch::kFloat32);
    const std::scoped_lock lock(mutex_);
    pass_.run_features(pixels.const_data_ptr<float>(), pixels.size(0), out.data_ptr<float>());
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
  PackedPass pass_;
  std::mutex mutex_;
};

class PackedModel::ModuleEngine final : public Engine {
 public:
  ModuleEngine(VisionTransformer model, InferenceDtype dtype, const torch::Device& device)
      : Engine(dtype, device), model_(std::move(model)) {
    if (dtype == InferenceDtype::kInt8 || dtype == InferenceDtype::kInt8Experts) {
      throw UsageError("inference dtype", "float32 or bfloat16 for this model on this device",
                       dtype == InferenceDtype::kInt8 ? "int8" : "int8_experts");
    }
    model_->eval();
  }

  const VitOptions& options() const override { return model_->options(); }
  int64_t weight_bytes() const override { return 0; }

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
  torch::Dtype autocast_dtype() const {
    return dtype() == InferenceDtype::kBFloat16 ? torch::kBFloat16 : torch::kFloat32;
  }

  VisionTransformer model_;
  std::mutex mutex_;
};

PackedModel::PackedModel(VisionTransformer model, InferenceDtype dtype) {
  const auto options = model->options();
  const auto device = model->parameters().front().device();
  auto weights = named_tensors(*model);
  if (device.is_cpu() && can_pack(options, weights, dtype)) {
    model = nullptr;
    engine_ = std::make_unique<PackedEngine>(options, std::move(weights), dtype);
  } else {
    engine_ = std::make_unique<ModuleEngine>(std::move(model), dtype, device);
  }
}

PackedModel::PackedModel(const VitOptions& options, NamedTensors weights, const std::string& where,
                         InferenceDtype dtype, const torch::Device& device) {
  const SkipInitialization skip;
  VisionTransformer model(options);  // its parameters take no memory as long as nobody writes them
  if (device.is_cpu()) {
    check_fit(*model, weights, where);
    if (can_pack(options, weights, dtype)) {
      model = nullptr;
      engine_ = std::make_unique<PackedEngine>(options, std::move(weights), dtype);
      return;
    }
  }
  load_into(*model, weights, where, {.share_memory = true});
  weights.clear();
  model->to(device);
  engine_ = std::make_unique<ModuleEngine>(std::move(model), dtype, device);
}

PackedModel::~PackedModel() = default;
PackedModel::PackedModel(PackedModel&&) noexcept = default;
PackedModel& PackedModel::operator=(PackedModel&&) noexcept = default;

const VitOptions& PackedModel::options() const { return engine_->options(); }
InferenceDtype PackedModel::dtype() const { return engine_->dtype(); }
const torch::Device& PackedModel::device() const { return engine_->device(); }
bool PackedModel::is_packed() const { return engine_->weight_bytes() > 0; }
int64_t PackedModel::weight_bytes() const { return engine_->weight_bytes(); }

torch::Tensor PackedModel::forward_features(const torch::Tensor& images) {
  const torch::InferenceMode inference;
  check_shape("PackedModel: images", images,
              {-1, options().in_chans, options().image_height(), options().image_width()});
  return engine_->features(images);
}

torch::Tensor PackedModel::forward_head(const torch::Tensor& features) {
  const torch::InferenceMode inference;
  check_shape("PackedModel: features", features, {-1, options().feature_dim()});
  return options().num_classes > 0 ? engine_->logits(features) : features;
}

torch::Tensor PackedModel::forward(const torch::Tensor& images) {
  return forward_head(forward_features(images));
}

}  // namespace softmoe
