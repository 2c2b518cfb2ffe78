#include "checkpoints/model_checkpoint.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "checkpoints/convert/foreign_model.h"
#include "checkpoints/load_into.h"
#include "core/error.h"
#include "core/log.h"
#include "core/rng.h"
#include "ops/initialization.h"

namespace softmoe {
namespace {

/// A field of the metadata; a missing one or one of another type is an InputError.
template <typename T>
T field(const Json& metadata, const std::string& name, const std::filesystem::path& path) {
  try {
    return metadata.at(name).get<T>();
  } catch (const nlohmann::json::exception& error) {
    throw InputError(path.string() + ": metadata field '" + name +
                     "' is missing or of another type");
  }
}

Likelihood likelihood(const Json& metadata, const std::filesystem::path& path) {
  const auto name = field<std::string>(metadata, "loss", path);
  const auto value = enum_value<Likelihood>(name);
  if (!value) {
    throw InputError(path.string() + ": metadata field 'loss'",
                     fmt::format("one of {}", fmt::join(enum_names<Likelihood>(), ", ")),
                     "'" + printable_text(name) + "'");
  }
  return *value;
}

/// Checkpoints of earlier versions say nothing of it.
PositionResize resize_mode(const Json& metadata, const std::filesystem::path& path) {
  PositionResize mode = ModelDescription{}.resize_mode;
  if (metadata.contains("resize_mode")) {
    OptionTable table;
    table.add("resize_mode", mode, "");
    try {
      table.from_json({{"resize_mode", metadata.at("resize_mode")}}, path.string() + ": metadata");
    } catch (const UsageError& error) {
      throw InputError(error.what());  // wrong in a file, not on the command line
    }
  }
  return mode;
}

/// The weights of a file of another kind, as it has them.
LoadedWeights foreign_weights(const std::filesystem::path& path) {
  auto model = read_foreign_model(path);
  check_weights(model.weights, model.description.options, find_family(model.family), path.string());
  log_line(fmt::format("{}: {}, family {}{}", path.string(), model.format, model.family,
                       model.prefix.empty() ? "" : fmt::format(", after '{}'", model.prefix)));
  auto metadata = to_metadata(model.description);
  return {.weights = std::move(model.weights),
          .description = std::move(model.description),
          .metadata = std::move(metadata)};
}

}  // namespace

Json to_metadata(const ModelDescription& description) {
  Json metadata;
  metadata["model_name"] = description.name;
  metadata["model"] = options_to_json(description.options);
  metadata["classes"] = description.class_names;
  metadata["preprocess"] = description.preprocess;
  metadata["loss"] = enum_name(description.likelihood);
  metadata["resize_mode"] = enum_name(description.resize_mode);
  return metadata;
}

ModelDescription model_description(const Json& metadata, const std::filesystem::path& path) {
  ModelDescription description;
  description.name = field<std::string>(metadata, "model_name", path);
  try {
    description.options =
        options_from_json<VitOptions>(field<Json>(metadata, "model", path), "model");
    validate(description.options);
  } catch (const UsageError& error) {
    // Wrong in a file, not on the command line.
    throw InputError(path.string() + ": " + error.what());
  }
  description.class_names = field<std::vector<std::string>>(metadata, "classes", path);
  const auto classes = description.options.num_classes;
  if (const auto names = std::ssize(description.class_names); classes > 0 && names > classes) {
    throw InputError(path.string() + ": metadata field 'classes'",
                     fmt::format("at most {} names, one a class", classes), std::to_string(names));
  }
  description.preprocess = field<Json>(metadata, "preprocess", path);
  description.likelihood = likelihood(metadata, path);
  description.resize_mode = resize_mode(metadata, path);
  return description;
}

LoadedWeights load_weights(const std::filesystem::path& path) {
  if (tensor_format(path) != TensorFormat::kHdf5) {
    return foreign_weights(path);
  }
  auto checkpoint = load_checkpoint(path, {.model = true, .optimizer = false, .ema = false});
  LoadedWeights loaded;
  loaded.description = model_description(checkpoint.metadata, path);
  loaded.metadata = std::move(checkpoint.metadata);
  loaded.weights = std::move(checkpoint.model);
  return loaded;
}

LoadedModel load_model(const std::filesystem::path& path, const torch::Device& device,
                       torch::Dtype dtype) {
  auto read = load_weights(path);
  LoadedModel loaded;
  loaded.description = std::move(read.description);
  loaded.metadata = std::move(read.metadata);
  loaded.model = unfilled_model(loaded.description.options, dtype);
  load_into(*loaded.model, read.weights, path.string(), {.share_memory = true});
  loaded.model->to(device);
  loaded.model->eval();
  return loaded;
}

VisionTransformer unfilled_model(const VitOptions& options, torch::Dtype dtype) {
  const SkipInitialization skip;
  const DefaultDtypeGuard parameters(dtype);
  return VisionTransformer(options);
}

VisionTransformer make_model(const VitOptions& options, int64_t seed, const torch::Device& device) {
  torch::manual_seed(stream_key(static_cast<uint64_t>(seed), "weights"));
  VisionTransformer model(options);
  model->to(device);
  return model;
}

NamedTensors named_tensors(const torch::nn::Module& module) {
  NamedTensors tensors;
  for (const auto& parameter : module.named_parameters()) {
    tensors[parameter.key()] = parameter.value().detach();
  }
  for (const auto& buffer : module.named_buffers()) {
    tensors[buffer.key()] = buffer.value();
  }
  return tensors;
}

}  // namespace softmoe
