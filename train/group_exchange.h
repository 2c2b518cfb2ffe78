#pragma once
/// The exchange of a group of processes that hold the experts of a layer together.

#include <optional>

#include "parallel/world.h"
#include "softmoe/expert_exchange.h"

namespace softmoe {

/// Process r of a group of W holds experts [r, r + 1) experts / W. Two all-to-alls in each forward
/// pass, two in each backward pass. If all rows count, as with soft routing, they are of static
/// size; otherwise the processes tell each other first how many rows each expert gets from them,
/// and only those rows travel.
class GroupExchange : public ExpertExchange {
 public:
  /// `even_batches`: training batches have as many images in each process, so that soft routing
  /// needs no numbers of rows. `payload` is the dtype in which rows travel; nothing: their own.
  GroupExchange(World group, bool even_batches, std::optional<torch::Dtype> payload);

  torch::Tensor run(const torch::Tensor& inputs, const torch::Tensor& used, bool is_training,
                    const OwnExperts& own_experts) const override;

 private:
  torch::Tensor run_all(const torch::Tensor& inputs, bool same_rows,
                        const OwnExperts& own_experts) const;
  torch::Tensor run_used(const torch::Tensor& inputs, const torch::Tensor& used,
                         const OwnExperts& own_experts) const;

  World group_;
  bool even_batches_;
  std::optional<torch::Dtype> payload_;
};

}  // namespace softmoe
