#pragma once
/// The registry of routers: one row a family.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "softmoe/moe_options.h"
#include "softmoe/router.h"

namespace softmoe {

struct RouterRow {
  std::string_view name;
  std::string_view source;   ///< the paper it comes from
  std::string_view summary;  ///< one line for help and documentation
  /// Whether dispatch and combine are dense weights within an image (then the FLOPs and the
  /// parameters of soft routing apply) and whether the router learns such weights.
  bool learned;
  RouterHandle (*make)(const MoeLayerOptions& options);
};

/// All rows, in the order of documentation.
std::span<const RouterRow> router_rows();
/// Their names.
std::vector<std::string> router_names();
/// A router for one layer. Throws UsageError for a name that no row has, c10::ValueError for sizes
/// that make no sense.
RouterHandle make_router(const MoeLayerOptions& options);

}  // namespace softmoe
