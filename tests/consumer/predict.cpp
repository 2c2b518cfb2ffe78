#include <torch/types.h>

#include "checkpoints/checkpoint.h"
#include "checkpoints/model_checkpoint.h"
#include "inference/predictor.h"
#include "tasks.h"
#include "vit/zoo.h"

namespace consumer {

void predict(const Folder& folder) {
  softmoe::ModelDescription description;
  description.name = "vit_ti16";
  description.options = softmoe::model_preset(description.name);
  description.options.img_size = {32};
  description.options.num_classes = 3;
  description.class_names = {"circle", "square", "star"};
  description.preprocess = softmoe::default_preprocess(description.options);
  const auto model = softmoe::make_model(description.options, /*seed=*/1);
  const auto path = folder / "model.h5";
  softmoe::save_checkpoint(path, {.metadata = softmoe::to_metadata(description),
                                  .model = softmoe::named_tensors(*model)});

  softmoe::Predictor predictor(softmoe::load_model(path), path.string());
  const auto images = torch::rand({5, 32, 32, 3});  // [images, height, width, channels]
  const auto predictions = predictor.predict(images, "five images", /*batch_size=*/2, {.topk = 2});
  check(predictions.classes.sizes() == torch::IntArrayRef({5, 2}), "shape of the predictions");
  const auto best = predictions.classes[0][0].item<int64_t>();
  check(predictor.class_name(best) == description.class_names[static_cast<size_t>(best)],
        "name of a class");
}

}  // namespace consumer
