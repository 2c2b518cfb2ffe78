#include "checkpoints/conversion.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "checkpoints/convert/check_weights.h"
#include "checkpoints/surgery/adapt.h"
#include "core/error.h"
#include "core/pluralize.h"
#include "core/split_text.h"
#include "core/unicode.h"
#include "io/atomic_file.h"

namespace softmoe {
namespace {

/// The lines of a text file that are not empty, one for each class.
std::vector<std::string> read_class_names(const std::filesystem::path& path, int64_t num_classes) {
  std::vector<std::string> names;
  for (auto& line : split_text(read_text_file(path), '\n')) {
    if (!line.empty() && line.back() == '\r') {
      line.pop_back();
    }
    if (!line.empty()) {
      names.push_back(nfc(line));
    }
  }
  if (std::ssize(names) != num_classes) {
    throw InputError(path.string(), pluralize(num_classes, "name of a class", "names of classes"),
                     std::to_string(names.size()));
  }
  return names;
}

/// The options that the weights of the file have if `to` is right about everything but the parts
/// that adapt_weights() changes.
VitOptions source_options(const VitOptions& file, const VitOptions& to) {
  auto from = with_adapted_parts(to, file);
  if (file.dist_token && !to.dist_token) {
    from.global_pool = file.global_pool;  // the only pooling that fits this token
    from.pool_include_prefix = false;
  }
  return from;
}

/// Renames or leaves out tensors that have another name, or none, with the pooling and norm of
/// `to`.
void follow_choices(ForeignModel& model, const VitOptions& to) {
  const auto& from = model.description.options;
  if (from.final_norm != to.final_norm) {
    const bool pooled = to.final_norm == FinalNorm::kPooled;
    for (const std::string leaf : {"weight", "bias"}) {
      auto node = model.weights.extract((pooled ? "norm." : "fc_norm.") + leaf);
      if (!node.empty()) {
        node.key() = (pooled ? "fc_norm." : "norm.") + leaf;
        model.weights.insert(std::move(node));
      }
    }
  }
  if (from.global_pool == GlobalPool::kMap && to.global_pool != GlobalPool::kMap) {
    std::erase_if(model.weights, [&](const auto& item) {
      const bool dropped = item.first.starts_with("attn_pool.");
      if (dropped) {
        model.left_out.push_back(item.first);
      }
      return dropped;
    });
  }
}

/// A head that starts anew has zero weights, as in training.
void add_fresh_head(AdaptedWeights& adapted, const VitOptions& to) {
  for (const auto& name : adapted.fresh) {
    adapted.tensors[name] = name.ends_with("bias")
                                ? torch::full({to.num_classes}, to.head_bias, torch::kFloat32)
                                : torch::zeros({to.num_classes, to.head_inputs()}, torch::kFloat32);
  }
}

/// Changes the preprocessing of `converted`; mean and std that do not fit its channels become 0.5.
void convert_preprocess(ConvertedModel& converted, const std::string& name,
                        const ConversionChanges& changes) {
  auto& description = converted.model.description;
  const auto& options = description.options;
  if (!description.preprocess) {
    throw InputError(name + ": preprocess", "an object of options", "null");
  }
  auto& preprocess = *description.preprocess;
  if (changes.preprocess) {
    changes.preprocess(preprocess, options);
  }
  for (const auto& [field, values] :
       {std::pair{"mean", &preprocess.mean}, {"std", &preprocess.std}}) {
    const auto count = std::ssize(*values);
    if (count != 1 && count != options.in_chans) {
      values->assign(1, 0.5);
      converted.changed.push_back(
          fmt::format("{}: {} values to 0.5 for {} channels", field, count, options.in_chans));
    }
  }
  preprocess.input_size = input_size(options);
}

}  // namespace

ConvertedModel convert_model(ForeignModel model, const std::string& name,
                             const ConversionChanges& changes) {
  const auto& family = find_family(model.family);
  const auto file = model.description.options;
  auto to = transfer_options(file);
  if (changes.options) {
    changes.options(to);
  }
  follow_choices(model, to);
  const auto from = source_options(file, to);
  check_weights(model.weights, from, family, name);
  validate(to);

  ConvertedModel converted{.model = std::move(model), .changed = {}, .fresh = {}};
  auto& description = converted.model.description;
  auto& weights = converted.model.weights;
  description.resize_mode = changes.resize_mode.value_or(description.resize_mode);
  const bool keep_head = to.num_classes == from.num_classes;
  auto adapted =
      adapt_weights(std::move(weights), from, to, description.resize_mode, keep_head, name);
  add_fresh_head(adapted, to);
  weights = std::move(adapted.tensors);
  converted.changed = std::move(adapted.changed);
  converted.fresh = std::move(adapted.fresh);
  description.options = to;
  if (!keep_head) {
    description.class_names.clear();
  }
  if (!changes.class_names.empty()) {
    description.class_names = read_class_names(changes.class_names, to.num_classes);
  }
  convert_preprocess(converted, name, changes);
  check_weights(weights, to, family, name);
  return converted;
}

void check_replaced_configs(const std::vector<std::filesystem::path>& configs,
                            const std::filesystem::path& output, const std::filesystem::path& input,
                            TensorFormat format) {
  namespace fs = std::filesystem;
  std::error_code unknown;
  const auto folder = fs::is_directory(input, unknown) ? input : input.parent_path();
  const bool reads_configs = format != TensorFormat::kHdf5;
  for (const auto& config : configs) {
    if (!fs::exists(config, unknown)) {
      continue;
    }
    if (reads_configs && fs::equivalent(config, folder / config.filename(), unknown)) {
      throw InputError("cannot write " + config.string() + ": it belongs to " + input.string() +
                       "; write to another folder");
    }
    if (!fs::exists(output, unknown)) {
      throw InputError("cannot write " + config.string() +
                       ": it belongs to another model; write to another folder");
    }
  }
}

}  // namespace softmoe
