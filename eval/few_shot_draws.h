#pragma once
/// Which training examples few-shot probes learn from.

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "eval/few_shot_options.h"

namespace softmoe {

/// The indices of each class's examples in an order that depends only on (seed, draw, class). A
/// subset of k shots takes the first k of each class, so subsets of one draw are nested. `labels`
/// [examples] int64 on the CPU; the result has one tensor for each class 0 .. num_classes - 1.
std::vector<torch::Tensor> shuffled_class_indices(const torch::Tensor& labels, int64_t num_classes,
                                                  uint64_t seed, uint64_t draw);

/// The first `shots` of each class, class by class; a smaller class gives all its examples.
torch::Tensor few_shot_subset(const std::vector<torch::Tensor>& class_indices, int64_t shots);

/// Which training examples the probes learn from.
struct FewShotDraws {
  int64_t examples = 0;  ///< that they were drawn from
  /// Indices of the examples, by draw, then by number of shots.
  std::vector<std::vector<torch::Tensor>> subsets{};

  /// The examples that any probe needs, ascending, each once: [needed].
  torch::Tensor needed() const;
  /// The draws with the indices that their examples have in a set of only the needed ones.
  FewShotDraws among_needed() const;
};

/// The draws that `options` asks for among examples with these `labels` [examples]. They do not
/// depend on features, so that features need to be computed for the drawn images only.
FewShotDraws draw_examples(const torch::Tensor& labels, const FewShotOptions& options);

}  // namespace softmoe
