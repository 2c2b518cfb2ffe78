#pragma once
/// What a model costs, counted from its options without making it.

#include "vit/options.h"

namespace softmoe {

struct ModelCost {
  int64_t backbone_parameters = 0;  ///< all but the head
  int64_t head_parameters = 0;
  double gflop = 0.0;  ///< of one image forward, 2 x multiply-adds, attention and routing included

  int64_t parameters() const { return backbone_parameters + head_parameters; }
};

/// The cost of a model. Matrix products alone are counted, as the papers do.
ModelCost model_cost(const VitOptions& options);

}  // namespace softmoe
