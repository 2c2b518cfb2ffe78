#pragma once
/// The families of checkpoints that convert knows. A row holds all that other code needs of a
/// family: how its files are recognised, the names of its tensors, what its code computes with
/// them, the pixels it takes and the config files beside its weights.

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoints/convert/name_map.h"
#include "core/json_text.h"
#include "datasets/interpolation.h"
#include "vit/options.h"
#include "vit/position_embedding.h"

namespace softmoe {

struct ModelDescription;

/// A change of weights under our names other than renaming; throws InputError that starts with
/// `where`.
using WeightHook = void (*)(NamedTensors& tensors, const std::string& where);

/// The tensors of a family.
struct FamilyTensors {
  std::span<const NameRow> rows = {};     ///< none: our names
  std::span<const NameRow> aliases = {};  ///< other names of its tensors, to those in `rows`
  std::string_view anchor;                ///< a tensor of every model; what precedes it is a prefix
  std::string_view marker = {};  ///< a tensor that sets the family apart; empty: none needed
  bool scanned = false;          ///< all blocks in one tensor, with a leading axis of blocks
  WeightHook to_ours = nullptr;
  WeightHook from_ours = nullptr;
  /// What its files put before all names but those of heads; null: nothing.
  std::string_view (*body_prefix)(const VitOptions& options) = nullptr;
};

/// Pixels as the models of a family take them.
struct FamilyPixels {
  std::array<double, 3> mean{0.5, 0.5, 0.5};
  std::array<double, 3> std{0.5, 0.5, 0.5};
  Interpolation interpolation = Interpolation::kBicubic;
  double crop_pct = 1.0;
};

/// Models of a family that have an eps and pixels of their own.
struct FamilyVariant {
  /// Returns true for such a model; `architecture` is its name in the config, if it has one.
  bool (*fits)(const VitOptions& options, const std::optional<std::string>& architecture);
  double norm_eps;
  FamilyPixels pixels;
};

/// The MLPs of a family.
enum class FamilyMlp { kPlain, kSwiGlu, kEither };

/// When the patch embedding of a family has a bias.
enum class FamilyPatchBias { kAlways, kWithoutPreNorm, kNever };

/// The pooling of a family's code.
struct FamilyPooling {
  /// The only one for a model with these parts; nothing, or null: others are possible too.
  std::optional<GlobalPool> (*only)(const VitOptions& options) = nullptr;
  std::string_view when = {};  ///< when there is only one: "if there is a class token"
  bool without_head = false;   ///< that one is needed without a head too
  bool token_avg = true;       ///< GlobalPool::kTokenAvg is possible
};

/// What the code of a family computes beside what the weights tell.
struct FamilyCode {
  Activation gelu = Activation::kGeluExact;
  double norm_eps = 1e-6;
  std::span<const FamilyVariant> variants = {};  ///< the first that fits is meant
  PositionResize resize = PositionResize::kBicubic;
  std::optional<PositionResize> resize_with_registers = {};  ///< none: as `resize`
  FamilyMlp mlp = FamilyMlp::kPlain;
  int64_t mlp_dim_multiple = 1;
  FamilyPatchBias patch_bias = FamilyPatchBias::kAlways;
  FamilyPooling pooling = {};
  bool needs_class_token = false;
  bool square_images = false;         ///< takes no others
  bool prefix_positions = false;      ///< has positions for prefix tokens
  bool fixed_positions = false;       ///< without learned positions it has sines and cosines
  bool pools_prefix = false;          ///< may pool prefix tokens, which weights do not tell
  bool pooled_norm = false;           ///< may have the final norm after pooling
  bool outdated_pre_logits = false;   ///< old files have pre-logits, its code of today has none
  bool norms_after_branches = false;  ///< models with norms after attention and MLP look the same
};

/// The config file of images that Hugging Face puts beside config.json.
inline constexpr const char* kPreprocessorName = "preprocessor_config.json";

/// The config files beside a family's weights.
struct FamilyConfigs {
  std::string_view key = {};  ///< of config.json, by which it is known to be the family's
  Json (*config)(const ModelDescription& description) = nullptr;  ///< config.json
  Json (*preprocessor)(const ModelDescription& description) =
      nullptr;             ///< preprocessor_config.json
  bool tells_eps = false;  ///< beside the activation and the pixels
  bool is_needed = false;  ///< files of the family always have a config.json of their own
};

/// One row of the table.
struct Family {
  std::string_view name;    ///< "hf_dinov2"
  std::string_view naming;  ///< value of --names: of one or several rows
  /// Returns true if a model of `options` is written as this row of its naming; null: always.
  bool (*writes)(const VitOptions& options) = nullptr;
  bool is_ours = false;  ///< our names: every model can be written, and nothing of it is lost
  FamilyTensors tensors;
  FamilyCode code = {};
  FamilyPixels pixels = {};
  bool crop_floor = false;  ///< PreprocessOptions::crop_floor of its code
  FamilyConfigs configs = {};
};

/// All families; of several that fit a file, the first is meant.
std::span<const Family> families();

/// The family called `name`; throws UsageError that lists all names.
const Family& find_family(const std::string& name);

/// The values of --names, in the order of the table.
std::vector<std::string> namings();

/// The family under whose names `naming` writes a model of `options`; the name of a family stands
/// for itself. Throws UsageError for other names.
const Family& output_family(const std::string& naming, const VitOptions& options);

/// The variant of `family` that a model is; null: none.
const FamilyVariant* find_variant(const Family& family, const VitOptions& options,
                                  const std::optional<std::string>& architecture);

}  // namespace softmoe
