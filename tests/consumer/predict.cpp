#include <torch/types.h>

#include "checkpoints/model_checkpoint.h"
#include "datasets/sources.h"
#include "inference/predictor.h"
#include "tasks.h"

namespace consumer {

void predict(const Folder& folder) {
  const auto path = upstream_checkpoint(folder);
  softmoe::Predictor predictor(softmoe::load_model(path), path.string());

  softmoe::DatasetOptions digits;
  digits.dataset = "digits";
  const auto images = softmoe::make_dataset(digits, "val");
  const auto labels =
      predictor.predict(*images, /*batch_size=*/64, /*workers=*/1, {.topk = 3, .logits = true});
  check(labels.classes.sizes() == torch::IntArrayRef({images->size(), 3}), "shape of the classes");
  check(labels.logits.size(1) == 10, "number of logits");
  check(predictor.class_name(labels.classes[0][0].item<int64_t>()).size() == 1, "name of a digit");

  const auto array = torch::rand({2, 16, 16, 3});  // [images, height, width, channels]
  const auto features = predictor.predict(array, "an array", /*batch_size=*/2, {.features = true});
  check(features.features.size(0) == 2, "features of an array");
}

}  // namespace consumer
