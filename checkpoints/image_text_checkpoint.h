#pragma once
/// Models of images and texts in files.

#include <filesystem>

#include "checkpoints/checkpoint.h"
#include "checkpoints/image_text_description.h"
#include "vit/image_text_model.h"

namespace softmoe {

/// A model of images and texts read from a file, in evaluation mode.
struct LoadedImageText {
  ImageTextModel model{nullptr};
  ImageTextDescription description;
  Json metadata;  ///< all of it, that of the description included
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

/// Reads a model of images and texts, from a native checkpoint or any file that
/// read_foreign_image_text() reads, onto `device`, its weights as `dtype`. Throws InputError that
/// names the file, and the tensor or field, if anything does not fit.
LoadedImageText load_image_text(const std::filesystem::path& path,
                                const torch::Device& device = torch::kCPU,
                                torch::Dtype dtype = torch::kFloat32);

}  // namespace softmoe
