#include <iostream>

#include "ops/initialization.h"
#include "vit/cost.h"
#include "vit/vision_transformer.h"
#include "vit/zoo.h"

int main() {
  auto options = softmoe::model_preset("softmoe_ti16_8e");
  options.img_size = {64};
  options.num_classes = 10;
  softmoe::VisionTransformer model(options);
  model->eval();

  const torch::NoGradGuard no_grad;
  const auto logits = model(torch::rand({2, 3, 64, 64}));  // [batch, classes]
  const auto cost = softmoe::model_cost(options);
  std::cout << logits.sizes() << ' ' << cost.parameters() << " parameters, " << cost.gflop
            << " GFLOP\n";
  return logits.size(1) == 10 ? 0 : 1;
}
