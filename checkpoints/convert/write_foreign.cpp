#include "checkpoints/convert/write_foreign.h"

#include <fmt/format.h>

#include <functional>
#include <span>

#include "checkpoints/checkpoint.h"
#include "checkpoints/convert/family_limits.h"
#include "checkpoints/convert/family_weights.h"
#include "checkpoints/convert/foreign_model.h"
#include "checkpoints/convert/npz_description.h"
#include "checkpoints/formats/safetensors.h"
#include "checkpoints/parameter_names.h"
#include "core/error.h"
#include "io/atomic_file.h"
#include "io/npz.h"

namespace softmoe {
namespace {

/// Gives a model of fixed positions, which the family's code does not know, a table of them.
/// Prefix tokens have none.
void learn_positions(const Family& family, VitOptions& options, NamedTensors& weights) {
  if (!has_unknown_positions(family, options)) {
    return;
  }
  options.pos_embed = PositionEmbedding::kLearned;
  options.pos_embed_prefix = options.prefix_tokens() == 0;
  weights["pos_embed"] = fixed_positions(options);  // [1, patches, dim]
}

/// Gives prefix tokens the positions that the family's code wants: zeros, which change nothing.
void add_prefix_positions(const Family& family, VitOptions& options, NamedTensors& weights) {
  if (options.pos_embed_prefix || !family.code.prefix_positions) {
    return;
  }
  options.pos_embed_prefix = true;
  const auto found = weights.find("pos_embed");
  if (found == weights.end() || options.prefix_positions() == 0) {
    return;
  }
  const auto& patches = found->second;  // [1, patches, dim]
  const auto zeros = torch::zeros({1, options.prefix_positions(), options.dim}, patches.options());
  found->second = torch::cat({zeros, patches}, 1);  // [1, prefix + patches, dim]
}

/// Gives patches the bias that the family's code wants, zeros, or drops one of zeros.
void fit_patch_bias(const Family& family, VitOptions& options, NamedTensors& weights,
                    const std::string& where) {
  const std::string name = "patch_embed.proj.bias";
  const bool wanted = has_patch_bias(family, options);
  if (family.is_ours || wanted == options.patch_bias) {
    return;
  }
  if (wanted) {
    const auto& patches = weights.at("patch_embed.proj.weight");
    weights[name] = torch::zeros({options.dim}, patches.options());
  } else if (weights.at(name).ne(0).any().item<bool>()) {
    throw InputError(where + ": " + name,
                     fmt::format("zeros: {} has no bias before a norm", family.name), "others");
  } else {
    weights.erase(name);
  }
  options.patch_bias = wanted;
}

/// `tensors` under the names of a family's files: heads stand outside the body.
NamedTensors with_body_prefix(NamedTensors tensors, const Family& family,
                              const VitOptions& options) {
  if (family.tensors.body_prefix == nullptr) {
    return tensors;
  }
  NamedTensors result;
  const std::string prefix(family.tensors.body_prefix(options));
  for (auto& [name, tensor] : tensors) {
    const bool is_head = belongs_to_head(our_name(family.tensors.rows, name));
    result[is_head ? name : prefix + name] = tensor;
  }
  return result;
}

/// A text file to be written.
struct ConfigText {
  std::filesystem::path path;
  std::string text;
};

/// Those of config_files().
std::vector<ConfigText> config_texts(const std::filesystem::path& path, TensorFormat format,
                                     const Family& family, const ModelDescription& description) {
  std::vector<ConfigText> texts;
  for (const auto& file : config_files(path, format, family)) {
    const auto make =
        file.filename() == kConfigName ? family.configs.config : family.configs.preprocessor;
    texts.push_back({file, json_text(make(description), 2) + "\n"});
  }
  return texts;
}

/// Writes `configs` and calls `write`: all of them get their places, or none does.
void write_with(std::span<const ConfigText> configs, const std::function<void()>& write) {
  if (configs.empty()) {
    write();
    return;
  }
  write_text_file(configs.front().path, configs.front().text,
                  [&] { write_with(configs.subspan(1), write); });
}

void write_native(const std::filesystem::path& path, const Family& family,
                  const ModelDescription& description, const NamedTensors& weights) {
  if (!family.is_ours) {
    throw UsageError("--names", "ours in a native checkpoint", std::string(family.name));
  }
  Checkpoint checkpoint;
  checkpoint.metadata = to_metadata(description);
  checkpoint.model = weights;
  save_checkpoint(path, checkpoint);
}

}  // namespace

std::vector<std::filesystem::path> config_files(const std::filesystem::path& path,
                                                TensorFormat format, const Family& family) {
  std::vector<std::filesystem::path> files;
  if (format_row(format).has_config_files) {
    if (family.configs.config != nullptr) {
      files.push_back(path.parent_path() / kConfigName);
    }
    if (family.configs.preprocessor != nullptr) {
      files.push_back(path.parent_path() / kPreprocessorName);
    }
  }
  return files;
}

void write_foreign_model(const std::filesystem::path& path, TensorFormat format,
                         const Family& family, const ModelDescription& description,
                         const NamedTensors& weights) {
  if (format == TensorFormat::kHdf5) {
    write_native(path, family, description, weights);
    return;
  }
  if (format_row(format).extensions.empty()) {
    throw UsageError("--format", "hdf5, safetensors or npz", std::string(format_row(format).name));
  }
  const auto where = path.string();
  check_expressible(family, description.options, where);
  auto written = description;
  auto& options = written.options;
  auto fitted = weights;
  learn_positions(family, options, fitted);
  fit_patch_bias(family, options, fitted, where);
  add_prefix_positions(family, options, fitted);
  const auto tensors =
      with_body_prefix(to_family_names(fitted, family, options.heads, where), family, options);
  if (format == TensorFormat::kNpz) {
    write_npz(path, tensors, npz_description(written));
    return;
  }
  write_with(config_texts(path, format, family, written), [&] {
    write_safetensors(path, tensors,
                      {{"format", "pt"}, {kDescriptionKey, json_text(to_metadata(written))}});
  });
}

}  // namespace softmoe
