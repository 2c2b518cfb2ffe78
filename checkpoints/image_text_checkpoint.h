#pragma once
/// Models of images and texts in files.

#include <filesystem>
#include <string>
#include <vector>

#include "checkpoints/checkpoint.h"
#include "checkpoints/formats/tensor_format.h"
#include "checkpoints/image_text_description.h"
#include "vit/image_text_model.h"

namespace softmoe {

/// A model of images and texts read from a file, in evaluation mode.
struct LoadedImageText {
  ImageTextModel model{nullptr};
  ImageTextDescription description;
  Json metadata;  ///< all of it, that of the description included
};

/// The weights of a model of images and texts as its file has them, on the CPU.
struct ImageTextWeights {
  NamedTensors weights;
  ImageTextDescription description;
  Json metadata;                   ///< all of it, that of the description included
  std::vector<std::string> lines;  ///< what was read, left out and assumed, for the user
};

/// A model of `options` with the initial weights of `seed`, on `device`.
ImageTextModel make_image_text_model(const ImageTextOptions& options, int64_t seed,
                                     const torch::Device& device = torch::kCPU);

/// A model of `options` for its names and shapes. Its parameters are of `dtype` and take no memory
/// until they are written.
ImageTextModel unfilled_image_text_model(const ImageTextOptions& options,
                                         torch::Dtype dtype = torch::kBFloat16);

/// A native checkpoint of `model`, its description and its tokenizer, to which training adds
/// what it needs.
Checkpoint image_text_checkpoint(const ImageTextModel& model,
                                 const ImageTextDescription& description);

/// Returns true if `path` is a native checkpoint of a model of images and texts. Throws InputError
/// if it is a damaged native checkpoint.
bool is_image_text_checkpoint(const std::filesystem::path& path);

/// Returns true if `path` is a native or foreign model of images and texts.
bool is_image_text_file(const std::filesystem::path& path);

/// Reads a native checkpoint, or any file that read_foreign_image_text() reads. No model is made.
/// Throws InputError that names the file, and the field, if anything does not fit.
ImageTextWeights load_image_text_weights(const std::filesystem::path& path);

/// load_image_text_weights(); says of a foreign file in the log what was read.
ImageTextWeights open_image_text_weights(const std::filesystem::path& path);

/// Reads a model of images and texts, from a native checkpoint or any file that
/// read_foreign_image_text() reads, onto `device`, its weights as `dtype`. Throws InputError that
/// names the file, and the tensor or field, if anything does not fit.
LoadedImageText load_image_text(const std::filesystem::path& path,
                                const torch::Device& device = torch::kCPU,
                                torch::Dtype dtype = torch::kFloat32);

/// Writes a model as a native checkpoint (kHdf5, `naming` "ours"), or as safetensors under the
/// names and with the config files of `naming`, a value of image_text_namings(). Throws UsageError
/// for other formats and names, InputError for what these files cannot hold. Returns the name of
/// the family.
std::string write_image_text(const std::filesystem::path& path, TensorFormat format,
                             const std::string& naming, const ImageTextWeights& model);

}  // namespace softmoe
