#pragma once
/// Whole models of images and texts out of files of other projects, and into such files.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "checkpoints/convert/image_text_families.h"
#include "checkpoints/convert/reading_notes.h"
#include "checkpoints/formats/tensor_format.h"
#include "core/named_tensors.h"

namespace softmoe {

/// A model of images and texts from a file, under our names.
struct ForeignImageText {
  ImageTextDescription description;  ///< without a tokenizer
  NamedTensors weights;
  TensorFormat format = TensorFormat::kHdf5;
  std::string family;
  ReadingNotes notes;
  std::vector<std::string> left_out;  ///< tensors of the file that are no part of the model
};

/// Returns true if `path` is a file of another project with an image tower and a text tower of one
/// of image_text_families().
bool is_foreign_image_text(const std::filesystem::path& path);

/// Reads both towers from a file or folder (safetensors, npz, torch.save) with the config beside
/// it. Throws InputError that names the file and lists tensors that the family does not know, and
/// what of its config this project does not have.
ForeignImageText read_foreign_image_text(const std::filesystem::path& path);

/// Writes both towers of `weights` as safetensors under the names of `family`, with its config
/// beside them. All files are written or none. Throws InputError that names the option, or lists
/// the tensors, that the family does not have.
void write_foreign_image_text(const std::filesystem::path& path, const ImageTextFamily& family,
                              const ImageTextDescription& description, const NamedTensors& weights);

}  // namespace softmoe
