#pragma once
/// What checkpoints of google-research/vmoe hold of routers; see RouterRow::vmoe.

#include <string>

#include "softmoe/routers.h"

namespace softmoe {

/// The router that weights of a layer of `kind` are read as.
std::string recognized_router(RoutingKind kind);

/// "a, b or c": the routers whose weights can be written.
std::string writable_routers();

}  // namespace softmoe
