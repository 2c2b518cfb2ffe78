#pragma once
/// Routing of MoE layers in words and tables.

#include <string>
#include <vector>

#include "analysis/routing_summary.h"

namespace softmoe::cli {

/// What a sheet shows with `drawn` of `all` slots of a layer, or experts where its routing is
/// sparse; `choice` says which.
std::string sheet_caption(RoutingKind kind, size_t drawn, int64_t all, const std::string& choice);

/// The numbers of layers of one kind for a terminal.
std::string routing_table(const std::vector<LayerRouting>& layers);

}  // namespace softmoe::cli
