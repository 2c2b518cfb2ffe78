#include "vit/linear.h"

#include "ops/initialization.h"
#include "ops/linear.h"

namespace softmoe {

LinearImpl::LinearImpl(int64_t in_features, int64_t out_features, bool with_bias)
    : in_features_(in_features), out_features_(out_features), with_bias_(with_bias) {
  LinearImpl::reset();
}

void LinearImpl::reset() {
  weight = register_parameter("weight", torch::empty({out_features_, in_features_}));
  init_xavier_uniform(weight, in_features_, out_features_);
  if (with_bias_) {
    bias = register_parameter("bias", torch::empty({out_features_}));
    init_constant(bias, 0.0);
  }
}

torch::Tensor LinearImpl::forward(const torch::Tensor& x) { return linear(x, weight, bias); }

}  // namespace softmoe
