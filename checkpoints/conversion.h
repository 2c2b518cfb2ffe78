#pragma once
/// A model on its way from a file of another project to another file: its options, sizes and
/// preprocessing are changed, and its weights follow.
///
///     const std::string input = "vit_small.safetensors";
///     auto model = read_foreign_model(input);
///     const auto converted = convert_model(std::move(model), input, {.options = [](VitOptions& to)
///     {
///       to.img_size = {384};
///     }});
///     write_foreign_model("vit_small.h5", TensorFormat::kHdf5, find_family("ours"),
///                         converted.model.description, converted.model.weights);

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "checkpoints/convert/foreign_model.h"

namespace softmoe {

/// What changes between reading a model and writing it.
struct ConversionChanges {
  /// Changes the options that were found.
  std::function<void(VitOptions&)> options = {};
  /// Changes the preprocessing that was found, for a model of the given options.
  std::function<void(PreprocessOptions&, const VitOptions&)> preprocess = {};
  /// How positions are resized; none: as is usual in the library that the model came from.
  std::optional<PositionResize> resize_mode = {};
  std::filesystem::path class_names = {};  ///< a text file, one name per line; empty: unchanged
};

/// A model that is ready to be written.
struct ConvertedModel {
  ForeignModel model;                ///< the one that was read, with other options and weights
  std::vector<std::string> changed;  ///< "pos_embed: 4x4 to 7x7 patches"
  std::vector<std::string> fresh;    ///< weights that start anew: the head of other classes
};

/// Changes `model`, which was read from `name`. Throws UsageError for options that contradict each
/// other, InputError for weights that do not fit the options.
ConvertedModel convert_model(ForeignModel model, const std::string& name,
                             const ConversionChanges& changes = {});

/// Throws InputError if writing `configs` beside `output` would replace a config that `input`, a
/// file of `format`, is read with, or one of another model than `output`.
void check_replaced_configs(const std::vector<std::filesystem::path>& configs,
                            const std::filesystem::path& output, const std::filesystem::path& input,
                            TensorFormat format);

}  // namespace softmoe
