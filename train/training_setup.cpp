#include "train/training_setup.h"

namespace softmoe {

torch::nn::Module& TrainingSetup::model() {
  if (instruction) {
    return *instruction->model;
  }
  return image_text ? static_cast<torch::nn::Module&>(*image_text->model) : *start.model;
}

void TrainingSetup::move_to_device() { model().to(device); }

void TrainingSetup::set_training(bool training) {
  if (image_text) {
    image_text->set_training(training);
  } else if (instruction) {
    instruction->model->train(training);
  } else {
    start.model->train(training);
  }
}

void TrainingSetup::complete(Batch& batch, int64_t number) const {
  if (image_text) {
    image_text->complete(batch, number, device);
  } else if (instruction) {
    instruction->complete(batch, device);
  }
}

const Dataset& TrainingSetup::fed_images(const Dataset& train_set) const {
  return image_text && image_text->features ? image_text->features->images() : train_set;
}

Transform TrainingSetup::fed_transform() const {
  return image_text && image_text->features ? image_text->features->transform()
                                            : Transform::training(options.preprocess);
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
