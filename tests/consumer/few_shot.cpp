#include <torch/types.h>

#include "checkpoints/model_checkpoint.h"
#include "datasets/sources.h"
#include "eval/few_shot_protocol.h"
#include "inference/predictor.h"
#include "tasks.h"

namespace consumer {

void run_few_shot(const Folder& folder) {
  const auto path = upstream_checkpoint(folder);
  auto loaded = softmoe::load_model(path);
  const auto transform = softmoe::evaluation_transform(loaded.description, path.string());
  const auto features = [&loaded](const torch::Tensor& images) {
    return loaded.model->forward_features(images);  // [batch, dim]
  };
  softmoe::DatasetOptions digits;
  digits.dataset = "digits";
  const auto train = softmoe::make_dataset(digits, "train");
  const auto test = softmoe::make_dataset(digits, "val");
  softmoe::FewShotProtocol protocol;
  protocol.probes.shots = {1, 5};
  protocol.probes.fewshot_seeds = 2;
  const auto result = softmoe::few_shot({.name = "digits", .train = *train, .test = *test},
                                        {.forward = features, .transform = transform}, protocol);
  check(result.scores.size() == 2, "one score per number of shots");
  // Digits differ so much that features of a hardly trained model tell many of them apart.
  check(result.scores.back().mean() > 0.3, "accuracy with five shots");
}

}  // namespace consumer
