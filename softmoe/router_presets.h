#pragma once
/// Named sets of options of routers: `--router-init`.

#include <span>
#include <string_view>

#include "softmoe/moe_options.h"

namespace softmoe {

/// A set of options that belong together.
struct RouterPreset {
  RouterInit init;
  std::string_view source;  ///< the code or paper that has them
  void (*apply)(MoeOptions& options);
};

/// All presets but RouterInit::kNone.
std::span<const RouterPreset> router_presets();

/// Sets the options that belong to `options.router_init`; none of them with kNone.
void apply_router_preset(MoeOptions& options);

}  // namespace softmoe
