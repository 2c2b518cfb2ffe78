#pragma once
/// How the time of a MoE layer's training step grows with the number of its experts, at a fixed
/// number of rows that the experts compute in all.

#include <cstdint>
#include <string>
#include <vector>

#include "core/options.h"

namespace softmoe {

/// One layer of its own, small enough that 4096 experts with their gradients fit into memory.
struct RouterCurveOptions {
  std::vector<std::string> routers{"soft", "experts_choice", "tokens_choice"};
  std::vector<int64_t> experts{8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096};
  int64_t dim = 128;
  int64_t hidden_dim = 512;
  int64_t tokens = 1024;  ///< per image
  int64_t slots = 4096;   ///< per image; sparse routers send each token to slots / tokens experts
  int64_t batch = 8;
  int64_t rounds = 5;
};

/// Times forward and backward under bf16 autocast, the routers in turn; prints a table and returns
/// it as JSON, with the time that moving the experts' weights and gradients takes.
Json measure_router_curve(const RouterCurveOptions& options);

/// The curve as a chart.
std::string router_curve_svg(const Json& curve);

}  // namespace softmoe
