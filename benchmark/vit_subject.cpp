#include "benchmark/vit_subject.h"

#include "core/error.h"
#include "core/rng.h"
#include "ops/compute_precision.h"
#include "ops/initialization.h"
#include "vit/cost.h"

namespace softmoe {
namespace {

/// Uniform numbers in [-1, 1), so many that no two rows of a weight are alike.
torch::Tensor random_block(const torch::TensorOptions& options) {
  constexpr int64_t kBlock = (int64_t{1} << 20) + 7;  // shares no factor with the shapes
  Rng rng(stream_key(/*seed=*/0, "benchmark weights"));
  auto values = torch::empty({kBlock}, torch::kFloat32);
  auto* data = values.mutable_data_ptr<float>();
  for (int64_t i = 0; i < kBlock; ++i) {
    data[i] = static_cast<float>(rng.uniform(-1.0, 1.0));
  }
  return values.to(options);  // [block]
}

/// Writes `block` over and over into `tensor`, times `scale`.
void fill_repeating(const torch::Tensor& tensor, const torch::Tensor& block, double scale) {
  const auto scaled = block * scale;    // [block]
  const auto flat = tensor.view({-1});  // [numel]
  for (int64_t first = 0; first < flat.size(0); first += scaled.size(0)) {
    const int64_t count = std::min(scaled.size(0), flat.size(0) - first);
    flat.slice(0, first, first + count).copy_(scaled.slice(0, 0, count));
  }
}

}  // namespace

void fill_parameters(torch::nn::Module& model) {
  const torch::NoGradGuard no_grad;
  torch::Tensor block;
  for (const auto& item : model.named_parameters()) {
    auto parameter = item.value();
    if (parameter.dim() < 2) {
      // Vectors and scalars: biases, gains of normalisations, scales.
      parameter.fill_(item.key().ends_with("bias") ? 0.0 : 1.0);
      continue;
    }
    if (!block.defined()) {
      block = random_block(parameter.options());
    }
    const auto fan = static_cast<double>(parameter.size(-1) + parameter.size(-2));
    fill_repeating(parameter, block, std::sqrt(6.0 / fan));
  }
}

ThroughputSubject vit_subject(const std::string& name, const VitOptions& options,
                              TrainStepFactory train_step, InferFactory infer) {
  const auto cost = model_cost(options);
  ThroughputSubject subject{
      .name = name,
      .image_shape = {options.in_chans, options.image_height(), options.image_width()},
      .outputs = options.num_classes > 0 ? options.num_classes : options.feature_dim(),
      .parameters = cost.parameters(),
      .gflop = cost.gflop};
  subject.make = [options, train_step, infer](ThroughputMode mode, Precision precision,
                                              const torch::Device& device) -> RunningModel {
    const bool training = mode == ThroughputMode::kTrain;
    const SkipInitialization skip;
    VisionTransformer model = [&] {
      const DefaultDtypeGuard parameters(training ? torch::kFloat32 : tensor_dtype(precision));
      return VisionTransformer(options);
    }();
    model->to(device);
    fill_parameters(*model);
    model->train(training);
    if (training) {
      TORCH_CHECK_VALUE(train_step, "vit_subject: expected a train_step, found none");
      return {.train = train_step(model, tensor_dtype(precision))};
    }
    if (infer) {
      return {.infer = infer(std::move(model), precision)};
    }
    TORCH_CHECK_VALUE(!has_8_bit_weights(precision), "vit_subject: ", enum_name(precision),
                      " needs an InferFactory");
    return {.infer = [model](const torch::Tensor& images) mutable {
      return model->forward(images);  // [batch, outputs]
    }};
  };
  return subject;
}

}  // namespace softmoe
