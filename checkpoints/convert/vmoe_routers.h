#pragma once
/// What checkpoints of google-research/vmoe hold of routers; see RouterRow::vmoe.

#include <span>
#include <string>
#include <string_view>

#include "softmoe/routers.h"

namespace softmoe {

/// Options of MoE layers that no other project has: reading its files leaves their defaults, and
/// models with other values cannot be written.
std::span<const std::string_view> options_of_ours();

/// The router that weights of a layer of `kind` are read as.
std::string recognized_router(RoutingKind kind);

/// "a, b or c": the routers whose weights can be written.
std::string writable_routers();

}  // namespace softmoe
