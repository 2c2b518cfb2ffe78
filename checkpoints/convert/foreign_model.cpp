#include "checkpoints/convert/foreign_model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fnmatch.h>

#include "checkpoints/convert/family_weights.h"
#include "checkpoints/convert/guess_options.h"
#include "checkpoints/convert/guess_preprocess.h"
#include "checkpoints/convert/model_prefix.h"
#include "checkpoints/convert/npz_description.h"
#include "checkpoints/convert/other_tensors.h"
#include "checkpoints/convert/read_config.h"
#include "checkpoints/parameter_names.h"
#include "core/error.h"
#include "core/name_list.h"
#include "io/bounded_json.h"
#include "io/mapped_file.h"
#include "vit/zoo.h"

namespace softmoe {
namespace {

/// The zoo's name of a model, else that of its file.
std::string zoo_or_file_name(const VitOptions& options, const std::filesystem::path& path) {
  for (const auto& name : zoo_names()) {
    const auto preset = model_preset(name);
    if (preset.dim == options.dim && preset.depth == options.depth &&
        preset.mlp_dim == options.mlp_dim && preset.mlp_layer == options.mlp_layer &&
        preset.patch_size == options.patch_size && preset.moe_blocks == options.moe_blocks &&
        preset.moe.experts == options.moe.experts &&
        preset.moe.slots_per_expert == options.moe.slots_per_expert) {
      return name;
    }
  }
  // All files of Hugging Face have the same name; their folders tell them apart.
  const auto stem = path.stem().string();
  const auto folder = path.parent_path().filename().string();
  const bool is_usual = stem == "model" || stem == "pytorch_model" || stem.ends_with(".index");
  return is_usual && !folder.empty() ? folder : stem;
}

/// The config files beside a file if they are of the family's kind.
ConfigFiles configs_of(const TensorFile& file, const FamilyConfigs& known) {
  ConfigFiles configs;
  const std::string key(known.key);
  if (key.empty() || !file.config.is_object() || !file.config.contains(key)) {
    return configs;
  }
  configs.config = file.config;
  const auto path = file.path.parent_path() / kPreprocessorName;
  std::error_code error;
  if (known.preprocessor != nullptr && std::filesystem::is_regular_file(path, error)) {
    configs.preprocessor = parse_sorted_json(MappedFile::open(path)->bytes(), path.string());
  }
  return configs;
}

/// How the code of a family resizes the positions of a model with these weights.
PositionResize usual_resize(const FamilyCode& code, const NamedTensors& weights) {
  return weights.contains("reg_token") ? code.resize_with_registers.value_or(code.resize)
                                       : code.resize;
}

/// Removes tensors whose names match one of `patterns` from `tensors`; returns their names.
std::vector<std::string> take_out(NamedTensors& tensors, const std::vector<std::string>& patterns,
                                  const std::string& where) {
  std::vector<std::string> names;
  for (const auto& pattern : patterns) {
    const auto removed = std::erase_if(tensors, [&](const auto& item) {
      const bool matches = ::fnmatch(pattern.c_str(), item.first.c_str(), 0) == 0;
      if (matches) {
        names.push_back(item.first);
      }
      return matches;
    });
    if (removed == 0) {
      throw UsageError("--leave-out", "names of tensors of " + where, "'" + pattern + "'");
    }
  }
  return names;
}

/// Notes a config beside the file that says nothing of its model; throws InputError for one that
/// cannot be read if models of the family need theirs.
void note_config(const TensorFile& file, const Family& family, const ConfigFiles& configs,
                 ReadingNotes& notes) {
  if (!file.config_problem.empty()) {
    if (family.configs.is_needed) {
      throw InputError(file.config_problem);
    }
    notes.unused.push_back("not read: " + file.config_problem);
  } else if (!file.config.is_null() && configs.config.is_null()) {
    notes.unused.push_back(
        fmt::format("not read: {} has nothing of family {}", kConfigName, family.name));
  }
}

/// Notes objects beside the model that hold tensors, which are not read.
void note_opaque(const std::vector<OpaqueObject>& opaque, ReadingNotes& notes) {
  std::vector<std::string> objects;
  for (const auto& object : opaque) {
    if (object.holds_tensors) {
      objects.push_back(described(object));
    }
  }
  if (!objects.empty()) {
    notes.unused.push_back("not read: tensors in " + name_list(objects, /*max_shown=*/3));
  }
}

/// A checkpoint of our own.
ForeignModel native_model(TensorFile file) {
  ForeignModel model;
  model.description = model_description(file.config, file.path);
  model.weights = std::move(file.tensors);
  model.format = file.format;
  model.family = "ours";
  return model;
}

std::vector<std::string> quoted(std::vector<std::string> names) {
  for (auto& name : names) {
    name = "'" + name + "'";
  }
  return names;
}

/// Throws if a hint contradicts a file that describes its model itself.
void check_hints(const ForeignHints& hints, const ForeignModel& model, const std::string& where) {
  const auto check = [&where](const char* flag, const std::string& hint, const std::string& found) {
    if (!hint.empty() && hint != found) {
      throw UsageError(where + ": " + flag,
                       (found.empty() ? "none" : found) + ", as the file itself says", hint);
    }
  };
  check("--family", hints.family, model.family);
  check("--prefix", hints.prefix, model.prefix);
  check("--leave-out", fmt::format("{}", fmt::join(hints.leave_out, " ")), "");
  const auto& options = model.description.options;
  const auto size = fmt::format("{} {}", options.image_height(), options.image_width());
  const bool is_edge = hints.img_size.size() == 1;
  check("--from-img-size",
        is_edge ? fmt::format("{0} {0}", hints.img_size.front())
                : fmt::format("{}", fmt::join(hints.img_size, " ")),
        size);
}

/// The description that a file of ours carries in its metadata.
std::optional<ModelDescription> carried_description(const TensorFile& file) {
  auto text = described_in_npz(file.comment);
  if (const auto found = file.metadata.find(kDescriptionKey); found != file.metadata.end()) {
    text = found->second;
  }
  if (!text) {
    return std::nullopt;
  }
  const auto where = file.path.string() + ": metadata";
  return model_description(parse_sorted_json(*text, where), where);
}

void describe_model(ForeignModel& model, const TensorFile& file, const Family& family,
                    const ModelHints& hints) {
  auto& description = model.description;
  description.options =
      guess_options(model.weights, family, hints, file.path.string(), model.notes);
  description.name = zoo_or_file_name(description.options, file.path);
  description.preprocess =
      guess_preprocess(description.options, family, hints.configs, file.path.string(), model.notes);
  description.class_names =
      config_class_names(hints.configs.config, description.options.num_classes, model.notes.unused);
  description.resize_mode = usual_resize(family.code, model.weights);
}

}  // namespace

ForeignModel read_foreign_model(const std::filesystem::path& path, const ForeignHints& hints) {
  auto file = read_tensor_file(path);
  const auto where = file.path.string();
  ForeignModel model;
  if (file.format == TensorFormat::kHdf5) {
    model = native_model(std::move(file));
    check_hints(hints, model, where);
    return model;
  }
  auto carried = carried_description(file);
  const auto taken_out =
      carried ? std::vector<std::string>{} : take_out(file.tensors, hints.leave_out, where);
  auto found = find_model(file.tensors, carried ? "" : hints.family, carried ? "" : hints.prefix,
                          where, file.opaque);
  const auto& family = *found.family;
  auto renamed = to_our_names(found, where);
  if (hints.drop_head) {
    std::erase_if(renamed.tensors, [](const auto& item) { return belongs_to_head(item.first); });
  }
  model.weights = std::move(renamed.tensors);
  model.format = file.format;
  model.family = family.name;
  model.prefix = found.prefix;
  model.left_out = found.left_out;
  model.left_out.insert(model.left_out.end(), taken_out.begin(), taken_out.end());
  if (carried) {
    model.description = std::move(*carried);
    check_hints(hints, model, where);
    if (hints.drop_head) {
      model.description.options.num_classes = 0;
      model.description.class_names.clear();
    }
    return model;
  }
  if (found.prefixes.size() > 1 && hints.prefix.empty()) {
    model.notes.assume("prefix", "'" + found.prefix + "'",
                       fmt::format("of models after {}", name_list(quoted(found.prefixes))));
  }
  auto configs = configs_of(file, family.configs);
  model.has_config = !configs.config.is_null();
  note_config(file, family, configs, model.notes);
  note_opaque(file.opaque, model.notes);
  describe_model(model, file, family,
                 {.configs = std::move(configs),
                  .heads = renamed.heads,
                  .img_size = hints.img_size,
                  .has_qkv_bias = renamed.has_qkv_bias});
  return model;
}

std::vector<std::string> reading_lines(const ForeignModel& model) {
  std::vector<std::string> lines{fmt::format(
      "{}, family {}{}{}", format_row(model.format).title, model.family,
      model.prefix.empty() ? "" : fmt::format(", after '{}'", printable_text(model.prefix)),
      model.has_config ? fmt::format(", with {} of its folder", kConfigName) : "")};
  if (!model.left_out.empty()) {
    lines.push_back("left out: " + grouped_names(model.left_out));
  }
  if (!model.notes.assumed.empty()) {
    lines.push_back("assumed: " + assumed_text(model.notes.assumed));
  }
  lines.insert(lines.end(), model.notes.unused.begin(), model.notes.unused.end());
  return lines;
}

}  // namespace softmoe
