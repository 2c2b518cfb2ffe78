#pragma once
/// Whole models out of files of any kind.

#include <filesystem>
#include <string>
#include <vector>

#include "checkpoints/convert/families.h"
#include "checkpoints/convert/reading_notes.h"
#include "checkpoints/model_description.h"
#include "checkpoints/tensor_file.h"

namespace softmoe {

/// The key in the metadata of a safetensors file under which our description is kept.
inline constexpr const char* kDescriptionKey = "softmoe";

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
  TensorFormat format = TensorFormat::kHdf5;
  std::string family;
  std::string prefix;
  bool has_config = false;  ///< the options follow from a `config.json`, too
  ReadingNotes notes;
  std::vector<std::string> left_out;  ///< tensors of the file that are no part of the model
};

/// Reads a model from a file or folder: safetensors, npz, torch.save or a native checkpoint.
/// `config.json` and `preprocessor_config.json` beside it are read if they belong to its family; a
/// `config.json` that is no JSON is noted, unless the family cannot be without one.
/// The options may still be changed; check_weights() then tells if the weights fit. Throws
/// InputError that names the file and lists tensors that the family does not know.
ForeignModel read_foreign_model(const std::filesystem::path& path, const ForeignHints& hints = {});

/// Lines on what was read, what was left out, assumed and not used, for the user of `model`.
std::vector<std::string> reading_lines(const ForeignModel& model);

}  // namespace softmoe
