#include <torch/types.h>

#include "checkpoints/convert/foreign_model.h"
#include "checkpoints/convert/write_foreign.h"
#include "checkpoints/model_checkpoint.h"
#include "inference/predictor.h"
#include "tasks.h"
#include "vit/zoo.h"

namespace consumer {

void read_foreign_checkpoint(const Folder& folder) {
  softmoe::ModelDescription description;
  description.name = "vit_ti16";
  description.options = softmoe::model_preset(description.name);
  description.options.img_size = {32};
  description.options.depth = 2;
  description.options.num_classes = 3;
  description.class_names = {"circle", "square", "star"};
  const auto model = softmoe::make_model(description.options, /*seed=*/1);
  const auto weights = softmoe::named_tensors(*model);
  const auto path = folder / "timm" / "model.safetensors";
  std::filesystem::create_directories(path.parent_path());
  softmoe::write_foreign_model(path, softmoe::TensorFormat::kSafetensors,
                               softmoe::output_family("timm", description.options), description,
                               weights);

  const auto read = softmoe::read_foreign_model(path);
  check(read.family.starts_with("timm"), "family of a foreign checkpoint");
  check(read.weights.size() == weights.size(), "number of weights");
  for (const auto& [name, tensor] : weights) {
    check(torch::equal(read.weights.at(name), tensor), "weight " + name);
  }
}

}  // namespace consumer
