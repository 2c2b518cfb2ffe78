#pragma once
/// The scales of the logits of soft routers, and the parameters that stand for them.

#include <torch/types.h>

#include "softmoe/moe_options.h"

namespace softmoe {

/// The scale [] of logits by its `parameter` []: MoeOptions::router_scale_form, then the maximum.
/// At the maximum a gradient passes that makes the scale smaller, and no other.
torch::Tensor router_scale(const torch::Tensor& parameter, const MoeOptions& options);

/// The parameter that stands for initial_router_scale(). Throws what that throws.
double initial_scale_parameter(const MoeOptions& options, int64_t dim);

}  // namespace softmoe
