#pragma once
/// Routers of packed models that decide by the code that trains them.

#include <string>

#include "core/named_tensors.h"
#include "softmoe/moe_options.h"
#include "softmoe/router.h"

namespace softmoe {

/// The router of one layer, which decides about rows or merges experts; undefined in other blocks.
struct PackedRouter {
  RouterHandle handle{};
  bool merges = false;          ///< each image goes through a mixture of all experts
  torch::Tensor layer_scale{};  ///< [dim] fp32, or undefined: of tokens that pass by the experts

  bool defined() const { return handle.router != nullptr; }
  /// The decision on `tokens` [batch, tokens, dim] fp32. Must not be called by a team of threads.
  Routed decide(const torch::Tensor& tokens, const TokenContext& context) const;
};

/// The router of a layer with its tensors `weights`, called `where` in errors.
PackedRouter pack_router(const MoeLayerOptions& options, const NamedTensors& weights,
                         const std::string& where);

}  // namespace softmoe
