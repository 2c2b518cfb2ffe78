#pragma once
/// The options of a model from the shapes of its weights, its family and its config.json.

#include <string>
#include <vector>

#include "checkpoints/convert/families.h"
#include "core/options.h"

namespace softmoe {

/// What is known of a foreign model beside its weights.
struct ModelHints {
  Json config;                         ///< of Hugging Face or timm, or null
  int64_t heads = 0;                   ///< where a layout told them, else 0
  std::vector<int64_t> img_size = {};  ///< height and width, where the user says so
  bool has_qkv_bias = true;            ///< false: the file has none
};

/// The options that `weights` (under our names) are those of. What shapes do not tell is taken from
/// the config, else from the family; heads without a config from the usual widths, 64 channels a
/// head otherwise. `choices` gets a line for each of these. Throws InputError that starts with
/// `where`: tensors that a model cannot do without, positions of a grid that is not a square and
/// whose size nothing tells, options that contradict each other.
VitOptions guess_options(const NamedTensors& weights, const Family& family, const ModelHints& hints,
                         const std::string& where, std::vector<std::string>& choices);

}  // namespace softmoe
