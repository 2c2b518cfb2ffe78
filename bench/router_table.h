#pragma once
/// The cost of a training step with each router of the registry in one vision transformer.

#include <cstdint>
#include <string>
#include <vector>

#include "core/options.h"

namespace softmoe {

/// Sizes of the MoE layers: `experts` with as many rows per image as soft routing has slots.
struct TableLayer {
  int64_t experts = 0;
  int64_t slots_per_expert = 0;
};

struct RouterTableOptions {
  std::string model = "vit_s16";  ///< dense; the MoE layers go into its last half
  std::vector<TableLayer> layers{{32, 6}, {128, 1}, {128, 2}};
  std::vector<std::string> routers{};  ///< empty: all of the registry
  int64_t batch = 32;
  int64_t rounds = 3;
};

/// Times forward and backward of all models in turn, `rounds` times, for one kind of layer after
/// the other; prints a table for each and returns them as JSON. Sparse routers get the capacity
/// that gives their experts as many rows as soft routing has slots; a router that cannot have it is
/// named and left out. All models of a table share weights of one name, so that they fit into
/// memory together.
Json measure_router_table(const RouterTableOptions& options);

}  // namespace softmoe
