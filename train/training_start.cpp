#include "train/training_start.h"

#include "checkpoints/model_checkpoint.h"

namespace softmoe {

TrainingStart fresh_start(const std::string& name, const VitOptions& model, int64_t seed,
                          PositionResize resize_mode) {
  return {.model_name = name, .resize_mode = resize_mode, .model = make_model(model, seed)};
}

}  // namespace softmoe
