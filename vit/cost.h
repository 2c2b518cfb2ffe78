#pragma once
/// What a model costs, counted from its options without making it.

#include <map>
#include <string>

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

/// GFLOP of one image forward of the parts of the model that consist of matrix products: "embed",
/// "blocks.0/attn", "blocks.0/mlp", and "blocks.1/moe/experts" without its routing,
/// beside which "blocks.1/moe/mlp" is a shared MLP.
std::map<std::string, double> part_gflops(const VitOptions& options);

}  // namespace softmoe
