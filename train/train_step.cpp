#include "train/train_step.h"

#include "runtime/autocast_guard.h"
#include "train/loss.h"
#include "train/optimizer.h"

namespace softmoe {

std::function<torch::Tensor(const torch::Tensor& images, const torch::Tensor& labels)>
make_train_step(VisionTransformer model, torch::Dtype dtype) {
  const OptimizerOptions options;
  std::shared_ptr<Optimizer> optimizer = make_optimizer(named_parameters(*model), options);
  model->train();
  return [model, dtype, options, optimizer](const torch::Tensor& images,
                                            const torch::Tensor& labels) mutable {
    torch::Tensor loss;
    {
      const AutocastGuard autocast(images.device(), dtype);
      loss = classification_loss(LossOptions{}, model(images), labels);  // []
    }
    loss.backward();
    optimizer->clip_and_step(/*lr=*/1e-4, options.clip_grad);
    optimizer->zero_grad();
    return loss.detach();
  };
}

}  // namespace softmoe
