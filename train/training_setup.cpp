#include "train/training_setup.h"

namespace softmoe {

torch::nn::Module& TrainingSetup::model() {
  return image_text ? static_cast<torch::nn::Module&>(*image_text->model) : *start.model;
}

void TrainingSetup::move_to_device() { model().to(device); }

void TrainingSetup::set_training(bool training) {
  if (image_text) {
    image_text->set_training(training);
  } else {
    start.model->train(training);
  }
}

void complete_config(TrainingSetup& setup) {
  auto model = setup.start.model->options();
  OptionTable table;
  table.add("model", setup.start.model_name, "the model");
  describe(table, model);
  describe(table, setup.options);
  if (auto& contrastive = setup.options.objectives.contrastive; contrastive.is_on()) {
    describe(table, contrastive);
  }
  if (auto& distillation = setup.options.objectives.distillation) {
    describe(table, *distillation);
  }
  if (setup.config.is_null()) {
    setup.config = table.to_json();
  }
  if (setup.config_text.empty()) {
    setup.config_text = table.to_config();
  }
}

}  // namespace softmoe
