#pragma once
/// Small layers for tests of single routers.

#include <string>

#include "softmoe/moe_options.h"
#include "softmoe/router.h"

namespace softmoe::test {

/// 7 tokens of width 6, hidden width 10.
inline MoeLayerOptions small_layer_options(const std::string& router, int64_t experts) {
  MoeLayerOptions options;
  options.dim = 6;
  options.hidden_dim = 10;
  options.tokens = 7;
  options.moe.router = router;
  options.moe.experts = experts;
  return options;
}

/// A record that asks for everything.
inline RoutingRecord full_record() {
  return {.wants = {.weights = true, .scores = true, .load = true}};
}

}  // namespace softmoe::test
