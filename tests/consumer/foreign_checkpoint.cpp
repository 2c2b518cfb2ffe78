#include <torch/types.h>

#include "checkpoints/convert/foreign_model.h"
#include "checkpoints/model_checkpoint.h"
#include "tasks.h"

namespace consumer {

void read_foreign_checkpoint(const Folder& folder) {
  const auto ours = softmoe::load_weights(folder / "model.h5");
  const auto path = folder / "timm.safetensors";
  softmoe::write_foreign_model(path, softmoe::TensorFormat::kSafetensors,
                               softmoe::output_family("timm", ours.description.options),
                               ours.description, ours.weights);
  const auto theirs = softmoe::read_foreign_model(path);
  check(theirs.format == "safetensors", "format of a foreign checkpoint");
  check(theirs.family.starts_with("timm"), "family of a foreign checkpoint");
  check(theirs.weights.size() == ours.weights.size(), "number of weights");
  for (const auto& [name, tensor] : ours.weights) {
    check(torch::equal(theirs.weights.at(name), tensor), "weight " + name);
  }
}

}  // namespace consumer
