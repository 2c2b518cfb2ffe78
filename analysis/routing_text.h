#pragma once
/// Routing of MoE layers as texts and tables.

#include <string>
#include <vector>

#include "analysis/routing_summary.h"

namespace softmoe {

/// The caption of a sheet with `drawn` of `all` slots of a layer, or experts if its routing is
/// sparse; `choice` says how they were chosen.
std::string sheet_caption(RoutingKind kind, size_t drawn, int64_t all, const std::string& choice);

/// The numbers of layers of one kind as a table for a terminal.
std::string routing_table(const std::vector<LayerRouting>& layers);

}  // namespace softmoe
