#include "eval/head_checkpoint.h"

#include <utility>

#include "core/error.h"
#include "core/pluralize.h"
#include "core/tensor_check.h"

namespace softmoe {

Checkpoint checkpoint_with_head(LoadedWeights source, const LinearHead& head,
                                const std::string& name) {
  check_shape("checkpoint_with_head: weight", head.weight, {head.bias.size(0), -1});
  auto description = source.description;
  auto& options = description.options;
  if (head.weight.size(1) != options.feature_dim()) {
    throw InputError(name + ": head", pluralize(options.feature_dim(), "feature"),
                     std::to_string(head.weight.size(1)));
  }
  options.num_classes = head.bias.size(0);
  description.class_names = head.class_names;
  description.likelihood = Likelihood::kSoftmax;
  Checkpoint checkpoint;
  checkpoint.metadata = derived_metadata(source.metadata, description);
  checkpoint.model = std::move(source.weights);
  const int64_t inputs = options.head_inputs();
  if (options.dist_token) {
    // The logits are the mean of both heads, so each takes its part of the features twice.
    checkpoint.model["head.weight"] = 2 * head.weight.narrow(1, 0, inputs);
    checkpoint.model["head_dist.weight"] = 2 * head.weight.narrow(1, inputs, inputs);
    checkpoint.model["head_dist.bias"] = head.bias;
  } else {
    checkpoint.model["head.weight"] = head.weight;
  }
  checkpoint.model["head.bias"] = head.bias;
  return checkpoint;
}

}  // namespace softmoe
