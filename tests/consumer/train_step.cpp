#include "train/train_step.h"

#include <torch/types.h>

#include "tasks.h"
#include "vit/zoo.h"

namespace consumer {

void train_a_step() {
  auto options = softmoe::model_preset("softmoe_ti16_8e");
  options.img_size = {32};
  options.num_classes = 3;
  torch::manual_seed(0);
  softmoe::VisionTransformer model(options);
  const auto step = softmoe::make_train_step(model, torch::kFloat32);
  const auto images = torch::randn({4, 3, 32, 32});
  const auto labels = torch::tensor({0, 1, 2, 0});
  const double first = step(images, labels).item<double>();
  double last = first;
  for (int i = 0; i < 3; ++i) {
    last = step(images, labels).item<double>();
  }
  check(last < first, "the loss of a batch does not fall");
}

}  // namespace consumer
