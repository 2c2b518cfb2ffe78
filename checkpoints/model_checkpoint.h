#pragma once
/// Models with all that it takes to use them, from files of any kind.

#include <filesystem>

#include "checkpoints/checkpoint.h"
#include "checkpoints/make_model.h"
#include "checkpoints/model_description.h"
#include "checkpoints/module_tensors.h"
#include "vit/vision_transformer.h"

namespace softmoe {

/// A model read from a checkpoint, in evaluation mode.
struct LoadedModel {
  VisionTransformer model{nullptr};
  ModelDescription description;
  Json metadata;  ///< all of it, that of the description included
};

/// The weights of a model as a checkpoint has them, on the CPU.
struct LoadedWeights {
  NamedTensors weights;
  ModelDescription description;
  Json metadata;  ///< all of it, that of the description included
};

/// Reads a native checkpoint, or any file that read_foreign_model() reads, with the defaults of its
/// family, which a line of the log names. No model is made. Throws InputError that names the file,
/// and the field, if anything does not fit.
LoadedWeights load_weights(const std::filesystem::path& path);

/// Reads a model like load_weights() onto `device`, its weights as `dtype`. Throws InputError that
/// names the file, and the tensor or field, if anything does not fit.
LoadedModel load_model(const std::filesystem::path& path, const torch::Device& device = torch::kCPU,
                       torch::Dtype dtype = torch::kFloat32);

}  // namespace softmoe
