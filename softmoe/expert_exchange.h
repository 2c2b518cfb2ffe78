#pragma once
/// Where the experts of a layer are, if not all of them are in this process.

#include <torch/types.h>

#include <functional>

namespace softmoe {

/// Brings the inputs of experts to the processes that hold them, and their outputs back.
/// Source: Lepikhin et al., arXiv:2006.16668, section 3.
class ExpertExchange {
 public:
  /// What the experts of this process make of rows [own experts, rows, dim]; of the same shape.
  using OwnExperts = std::function<torch::Tensor(const torch::Tensor& rows)>;

  virtual ~ExpertExchange() = default;

  /// The outputs [experts, rows, dim] of all experts for `inputs` [experts, rows, dim] of this
  /// process. All processes that share the experts call it at the same place of their pass, and run
  /// `own_experts` on the rows of all. `used` [experts, rows] bool says which rows count,
  /// undefined: all; the outputs of others are 0. `is_training` tells training batches, whose size
  /// may be known to be equal in all processes, from others.
  virtual torch::Tensor run(const torch::Tensor& inputs, const torch::Tensor& used,
                            bool is_training, const OwnExperts& own_experts) const = 0;
};

}  // namespace softmoe
