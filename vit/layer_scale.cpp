#include "vit/layer_scale.h"

#include "ops/initialization.h"

namespace softmoe {

LayerScaleImpl::LayerScaleImpl(int64_t dim, double initial_value)
    : dim_(dim), initial_value_(initial_value) {
  LayerScaleImpl::reset();
}

void LayerScaleImpl::reset() {
  gamma = register_parameter("gamma", torch::empty({dim_}));
  init_constant(gamma, initial_value_);
}

torch::Tensor LayerScaleImpl::forward(const torch::Tensor& x) { return x * gamma; }

}  // namespace softmoe
