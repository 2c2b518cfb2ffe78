#pragma once
/// How commands evaluate the model of a checkpoint.

#include <string>
#include <vector>

#include "checkpoints/model_checkpoint.h"
#include "datasets/dataset.h"
#include "eval/evaluate.h"

namespace softmoe::cli {

/// Throws InputError unless the classes `found` in a data set called `name` mean what the model's
/// do.
void check_classes(const std::vector<std::string>& found, const ModelDescription& model,
                   const std::string& name);

/// `amp_dtype`, or for "auto" what the evaluations in the training had that the checkpoint's
/// `metadata` tells of, so that accuracies agree.
std::string evaluation_dtype_name(const std::string& amp_dtype, const Json& metadata);
/// The compute dtype that it stands for on `device`.
torch::Dtype evaluation_dtype(const std::string& amp_dtype, const Json& metadata,
                              const torch::Device& device);

/// The model that gives logits by `forward`, which `description` of the file `checkpoint`
/// describes, on the images of `set`.
ClassificationResult evaluate_model(const Forward& forward, const ModelDescription& description,
                                    const std::string& checkpoint, const Dataset& set,
                                    const LoaderOptions& options, const BatchLoopOptions& loop);

/// Metadata of a model that `description` describes and that was made, without training, of one
/// with the metadata `source`: evaluation_dtype() is that of the source.
Json derived_metadata(const Json& source, const ModelDescription& description);

}  // namespace softmoe::cli
