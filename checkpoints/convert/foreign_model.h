#pragma once
/// Whole models in and out of the files of other libraries.

#include <filesystem>
#include <string>
#include <vector>

#include "checkpoints/convert/families.h"
#include "checkpoints/formats/tensor_file.h"
#include "checkpoints/model_checkpoint.h"

namespace softmoe {

/// The text in the metadata of a safetensors file that holds our description.
inline constexpr const char* kDescriptionText = "softmoe";

/// What a user may say about a file that it does not say itself.
struct ForeignHints {
  std::string family = {};                  ///< a row of families(); empty: detected
  std::string prefix = {};                  ///< what precedes the names; empty: found
  std::vector<int64_t> img_size = {};       ///< height and width that the positions are for
  std::vector<std::string> leave_out = {};  ///< patterns of tensors that are not the model's
  bool drop_head = false;                   ///< leave out the head, whatever its shape
};

/// A model from a file of any kind, under our names.
struct ForeignModel {
  ModelDescription description;
  NamedTensors weights;
  std::string format;  ///< "safetensors"
  std::string family;
  std::string prefix;
  std::vector<std::string> choices;   ///< what did not follow from shapes, with its reason
  std::vector<std::string> left_out;  ///< tensors of the file that are no part of the model
};

/// Reads a model from a file or folder: safetensors, npz, torch.save or a native checkpoint.
/// `config.json` and `preprocessor_config.json` beside it are read where they belong to its family.
/// The options may still be changed; check_weights() then tells whether the weights fit. Throws
/// InputError that names the file and lists tensors that the family does not know.
ForeignModel read_foreign_model(const std::filesystem::path& path, const ForeignHints& hints = {});

/// Throws InputError that starts with `where` and lists the tensors that a model of `options` has
/// and `weights` does not, those of another shape, and those that are too many; names of `family`
/// stand beside ours; where `options` contradict each other, it says so.
void check_weights(const NamedTensors& weights, const VitOptions& options, const Family& family,
                   const std::string& where);

/// The family under whose names "timm", "huggingface", "dinov2", "big_vision",
/// "vision_transformer", "vmoe" or "ours" writes a model of `options`; the name of a family stands
/// for itself. Throws UsageError for other names.
const Family& output_family(const std::string& naming, const VitOptions& options);

/// Writes a model: kHdf5 as a native checkpoint, kSafetensors, which carries our description too,
/// with the config.json and preprocessor_config.json of Hugging Face or the config.json of timm
/// beside it, or kNpz. All files are written or none. Throws InputError that lists what has no name
/// in the family; kTorch is not written.
void write_foreign_model(const std::filesystem::path& path, TensorFormat format,
                         const Family& family, const ModelDescription& description,
                         const NamedTensors& weights);

/// The files that are written beside `path` then.
std::vector<std::filesystem::path> config_files(const std::filesystem::path& path,
                                                TensorFormat format, const Family& family);

/// What the reader's code has to be told, as the file cannot.
std::vector<std::string> reader_notes(TensorFormat format, const Family& family,
                                      const ModelDescription& description);

}  // namespace softmoe
