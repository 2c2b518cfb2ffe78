#include "checkpoints/make_model.h"

#include "core/rng.h"
#include "ops/initialization.h"

namespace softmoe {

VisionTransformer make_model(const VitOptions& options, int64_t seed, const torch::Device& device) {
  torch::manual_seed(stream_key(static_cast<uint64_t>(seed), "weights"));
  VisionTransformer model(options);
  model->to(device);
  return model;
}

VisionTransformer unfilled_model(const VitOptions& options, torch::Dtype dtype) {
  const SkipInitialization skip;
  const DefaultDtypeGuard parameters(dtype);
  return VisionTransformer(options);
}

}  // namespace softmoe
