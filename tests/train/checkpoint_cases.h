#pragma once
/// Checkpoints that runs of the tests start from.

#include <filesystem>
#include <string>
#include <vector>

#include "checkpoints/model_checkpoint.h"
#include "datasets/transforms.h"
#include "vit/small_models.h"

namespace softmoe::test {

/// Classes of small_options().
inline std::vector<std::string> small_classes() { return {"a", "b", "c", "d", "e", "f", "g"}; }

/// Saves a model of `options` with random weights and the state of an AdamW at `path`.
inline Checkpoint save_model(const std::filesystem::path& path, const VitOptions& options) {
  const auto model = lively_model(options);
  ModelDescription description;
  description.name = "small";
  description.options = options;
  description.class_names = small_classes();
  description.preprocess = PreprocessOptions();
  description.resize_mode = PositionResize::kBicubic;
  Checkpoint checkpoint;
  checkpoint.metadata = to_metadata(description);
  checkpoint.model = named_tensors(*model);
  checkpoint.optimizer["step"] = torch::scalar_tensor(20, torch::kInt64);
  for (const auto& item : model->named_parameters()) {
    for (const auto* kind : {"exp_avg/", "exp_avg_sq/"}) {
      checkpoint.optimizer[kind + item.key()] = torch::full_like(item.value().detach(), 0.5);
    }
  }
  save_checkpoint(path, checkpoint);
  return checkpoint;
}

}  // namespace softmoe::test
