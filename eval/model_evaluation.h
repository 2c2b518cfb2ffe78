#pragma once
/// The model of a checkpoint on a labelled data set.

#include <string>
#include <vector>

#include "checkpoints/model_checkpoint.h"
#include "datasets/dataset.h"
#include "eval/evaluate.h"

namespace softmoe {

/// Throws InputError unless the classes `found` in a data set called `name` are those of the model.
void check_classes(const std::vector<std::string>& found, const ModelDescription& model,
                   const std::string& name);

/// `amp_dtype`, or for "auto" the dtype of the evaluations during training, if the checkpoint's
/// `metadata` names it, so that accuracies agree.
std::string evaluation_dtype_name(const std::string& amp_dtype, const Json& metadata);
/// The compute dtype on `device` of evaluation_dtype_name().
torch::Dtype evaluation_dtype(const std::string& amp_dtype, const Json& metadata,
                              const torch::Device& device);

/// Evaluates the model that `forward` computes and `description` describes on the images of `set`,
/// which `transform` prepares.
ClassificationResult evaluate_model(const Forward& forward, const ModelDescription& description,
                                    const Transform& transform, const Dataset& set,
                                    const LoaderOptions& options, const BatchLoopOptions& loop);

}  // namespace softmoe
