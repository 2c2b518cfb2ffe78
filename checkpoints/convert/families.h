#pragma once
/// The families of checkpoints that convert knows: how each is recognised, how its parameters are
/// called, and what computes differently with the same weights.

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoints/convert/name_map.h"
#include "vit/options.h"
#include "vit/position_embedding.h"

namespace softmoe {

/// What is done to weights under our names beside renaming; throws InputError that starts with
/// `where`.
using WeightHook = void (*)(NamedTensors& tensors, const std::string& where);

/// Pixels as the models of a family take them.
struct FamilyPixels {
  std::array<double, 3> mean{0.5, 0.5, 0.5};
  std::array<double, 3> std{0.5, 0.5, 0.5};
  std::string_view interpolation = "bicubic";
  double crop_pct = 1.0;
};

/// One row of the table.
struct Family {
  std::string_view name;          ///< "hf_dinov2"
  std::string_view meaning;       ///< for help
  std::string_view naming;        ///< what --names calls it: ours, timm, dinov2, huggingface, vmoe
  std::span<const NameRow> rows;  ///< none: our names
  std::string_view anchor;        ///< a tensor that every model has; what precedes it is a prefix
  std::string_view marker;        ///< a tensor that sets it apart; empty: none needed
  Activation gelu = Activation::kGeluExact;
  double norm_eps = 1e-6;
  PositionResize resize = PositionResize::kBicubic;
  FamilyPixels pixels = {};
  WeightHook to_ours = nullptr;
  WeightHook from_ours = nullptr;
  bool prefix_positions = false;  ///< its code wants positions for prefix tokens
  bool fixed_positions = false;   ///< without learned positions its models have sines and cosines
  bool scanned = false;           ///< all blocks in one tensor, with a leading axis of blocks
};

/// All families; where several fit a file, the first is meant.
std::span<const Family> families();

/// The family called `name`; throws UsageError that lists them.
const Family& find_family(const std::string& name);

/// The parameters of one model in a file.
struct FoundModel {
  const Family* family = nullptr;
  std::string prefix;                 ///< what precedes the names
  NamedTensors tensors;               ///< without the prefix; scanned blocks apart
  std::vector<std::string> left_out;  ///< names that are no part of the model: text towers, poolers
  std::vector<std::string> unmatched;  ///< names that the family does not know
};

/// Finds the model in `tensors`: of `family` where it is not empty, under `prefix` where it is not
/// empty; what stands elsewhere then is left out. Throws InputError that starts with `where`: no
/// family fits, or several prefixes do.
FoundModel find_model(const NamedTensors& tensors, const std::string& family,
                      const std::string& prefix, const std::string& where);

/// The tensors of a found model under our names, zeros for biases of queries, keys and values where
/// it has none. Throws InputError that lists what has no
/// counterpart, is incomplete or has a wrong number of axes.
RenamedTensors to_our_names(const FoundModel& found, const std::string& where);

/// Our weights under the names of `family`, without a prefix. Throws InputError as above.
NamedTensors to_family_names(const NamedTensors& tensors, const Family& family, int64_t heads,
                             const std::string& where);

}  // namespace softmoe
