#include <torch/types.h>

#include "tasks.h"
#include "train/optimizers.h"
#include "train/train_step.h"
#include "vit/zoo.h"

namespace consumer {

void train_steps() {
  auto options = softmoe::model_preset("softmoe_ti16_8e");
  options.img_size = {32};
  options.num_classes = 3;
  torch::manual_seed(0);
  softmoe::VisionTransformer model(options);
  const auto optimizer =
      softmoe::make_optimizer(softmoe::named_parameters(*model), softmoe::OptimizerOptions{});
  const softmoe::Batch batch{.images = torch::randn({4, 3, 32, 32}),
                             .labels = torch::tensor({0, 1, 2, 0}),
                             .indices = torch::arange(4)};
  double first = 0.0;
  double last = 0.0;
  for (int step = 0; step < 4; ++step) {
    last = softmoe::train_step(model, batch, {}, {}).loss.item<double>();
    first = step == 0 ? last : first;
    optimizer->clip_and_step(/*lr=*/1e-3, /*max_norm=*/1.0);
    optimizer->zero_grad();
  }
  check(last < first, "the loss of a batch does not fall");
}

}  // namespace consumer
