#pragma once
/// The options of a model from the shapes of its weights, its family and its config.json.

#include <string>
#include <vector>

#include "checkpoints/convert/families.h"
#include "checkpoints/convert/read_config.h"
#include "checkpoints/convert/reading_notes.h"

namespace softmoe {

/// What is known of a foreign model beside its weights.
struct ModelHints {
  ConfigFiles configs;
  int64_t heads = 0;                   ///< if a layout told them, else 0
  std::vector<int64_t> img_size = {};  ///< height and width, if the user gives them
  bool has_qkv_bias = true;            ///< false: the file has none
};

/// The options of the model with `weights`, which are under our names. What shapes do not tell
/// comes from the config, else from the family; heads without a config from the usual widths, else
/// one per 64 channels. `notes` get each of these. Throws InputError that starts with
/// `where`: tensors that every model needs, positions of a grid that is not a square and whose size
/// nothing tells, options that contradict each other.
VitOptions guess_options(const NamedTensors& weights, const Family& family, const ModelHints& hints,
                         const std::string& where, ReadingNotes& notes);

}  // namespace softmoe
