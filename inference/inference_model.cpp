#include "inference/inference_model.h"

#include <utility>

#include "checkpoints/load_into.h"
#include "checkpoints/model_checkpoint.h"
#include "core/error.h"
#include "core/tensor_check.h"
#include "inference/modules/module_engine.h"
#include "inference/packed/can_pack.h"
#include "inference/packed/packed_engine.h"
#include "ops/compute_precision.h"

namespace softmoe {

Precision inference_precision(const std::string& name, const torch::Device& device) {
  if (name == "auto") {
    return fastest_precision(device);
  }
  const auto precision = enum_value<Precision>(full_precision_name(name));
  if (!precision || *precision == Precision::kFloat16 || *precision == Precision::kFloat64) {
    throw UsageError("dtype", "one of auto, float32, bfloat16, int8, int8_experts",
                     "'" + name + "'");
  }
  return *precision;
}

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
    engine_ = std::make_unique<ModuleEngine>(options, std::move(weights), precision, device);
  }
}

InferenceModel::InferenceModel(const VitOptions& options, NamedTensors weights,
                               const std::string& where, Precision precision,
                               const torch::Device& device) {
  check_fit(*unfilled_model(options), weights, where);
  if (!device.is_cpu()) {
    engine_ = std::make_unique<ModuleEngine>(options, std::move(weights), precision, device);
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
