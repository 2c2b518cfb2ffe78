#pragma once
/// The families of models of images and texts that convert knows. Their image towers are those of
/// families().

#include <span>
#include <string>
#include <string_view>

#include "checkpoints/convert/families.h"
#include "checkpoints/convert/name_map.h"
#include "checkpoints/image_text_description.h"

namespace softmoe {

/// One row of the table.
struct ImageTextFamily {
  std::string_view name;    ///< "hf_clip"
  std::string_view naming;  ///< value of --names: of one or several rows
  /// Returns true if a model of `options` is written as this row of its naming.
  bool (*writes)(const ImageTextOptions& options);
  std::string_view image_prefix;  ///< of the names of the image tower
  const Family& (*image)();       ///< names and code of the image tower
  std::span<const NameRow> rows;  ///< of all other tensors
  std::string_view image_marker;  ///< a tensor of every image tower, with its prefix
  std::string_view text_marker;   ///< a tensor of every text tower
  bool needs_image_projection;
  std::string_view config_name;  ///< of the config file beside the weights
  /// What its code computes with texts, unless a config says otherwise.
  TextOptions code;
  /// The config of the image tower out of the whole one, with Hugging Face's or timm's fields.
  Json (*image_config)(const Json& config);
  /// Sets what a config says of texts. Throws InputError that starts with `where`.
  void (*read_text)(const Json& config, const std::string& where, TextOptions& options);
  Json (*config)(const ImageTextDescription& description);
  /// The preprocessor_config.json in the whole config; null: it is a file.
  Json (*preprocessor)(const Json& config);
};

/// All families; of several that fit a file, the first is meant.
std::span<const ImageTextFamily> image_text_families();

/// The values of --names, in the order of the table.
std::vector<std::string> image_text_namings();

/// The family under whose names `naming` writes a model of `options`. Throws UsageError for other
/// names.
const ImageTextFamily& image_text_family(const std::string& naming,
                                         const ImageTextOptions& options);

}  // namespace softmoe
