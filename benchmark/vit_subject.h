#pragma once
/// Vision transformers as subjects of a throughput benchmark.

#include <functional>
#include <string>

#include "benchmark/throughput.h"
#include "vit/vision_transformer.h"

namespace softmoe {

/// Makes the training step of a model in training mode that computes in `dtype`. The trainer, which
/// is above this folder, knows how.
using TrainStepFactory =
    std::function<decltype(RunningModel::train)(VisionTransformer model, torch::Dtype dtype)>;

/// Makes the prediction of a model in evaluation mode, which it may take over, in `precision`; the
/// weights are of tensor_dtype(precision).
using InferFactory =
    std::function<decltype(RunningModel::infer)(VisionTransformer model, Precision precision)>;

/// Fills all parameters of `model` fast: with one block of random numbers, repeated and scaled as a
/// Xavier initialisation would, so that billions of parameters take seconds. The values are good
/// for measurements alone.
void fill_parameters(torch::nn::Module& model);

/// The model of `options` under the name `name`, made directly on its device and in its dtype. If
/// `train_step` is null, it can only infer; if `infer` is null, its modules infer.
ThroughputSubject vit_subject(const std::string& name, const VitOptions& options,
                              TrainStepFactory train_step = nullptr, InferFactory infer = nullptr);

}  // namespace softmoe
