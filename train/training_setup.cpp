#include "train/training_setup.h"

namespace softmoe {

void complete_config(TrainingSetup& setup) {
  auto model = setup.start.model->options();
  OptionTable table;
  table.add("model", setup.start.model_name, "the model");
  describe(table, model);
  describe(table, setup.options);
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
