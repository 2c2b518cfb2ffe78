#include "checkpoints/instruction_checkpoint.h"

#include <fmt/format.h>

#include "checkpoints/formats/tensor_format.h"
#include "checkpoints/load_into.h"
#include "checkpoints/metadata_fields.h"
#include "checkpoints/module_tensors.h"
#include "core/rng.h"
#include "datasets/tasks/task_file.h"
#include "ops/initialization.h"

namespace softmoe {
namespace {

constexpr const char* kHeldOut = "held-out";

Json tasks_json(const std::vector<KnownTask>& tasks) {
  Json json = Json::array();
  for (const auto& task : tasks) {
    json.push_back(to_json(task.options));
    json.back()[kHeldOut] = task.held_out;
  }
  return json;
}

std::vector<KnownTask> tasks_field(const Json& metadata, const std::filesystem::path& path) {
  std::vector<KnownTask> tasks;
  for (auto json : metadata_field<std::vector<Json>>(metadata, "tasks", path)) {
    const auto where = path.string() + ": metadata field 'tasks'";
    if (!json.is_object() || !json.contains(kHeldOut) || !json.at(kHeldOut).is_boolean()) {
      throw InputError(where, "objects of tasks", "something else");
    }
    const bool held_out = json.at(kHeldOut).get<bool>();
    json.erase(kHeldOut);
    tasks.push_back({.options = task_from_json(json, where), .held_out = held_out});
  }
  return tasks;
}

Json instruction_metadata(const InstructionDescription& description) {
  const auto& preprocess = description.preprocess;
  Json metadata;
  metadata["model_name"] = description.name;
  metadata[kInstructionKey] = options_to_json(description.options);
  metadata["preprocess"] = preprocess ? options_to_json(*preprocess) : Json();
  metadata["tokenizer"] = description.tokenizer.kind;
  metadata["tasks"] = tasks_json(description.tasks);
  metadata["answers"] = description.answers;
  metadata["picture_side"] = description.picture_side;
  return metadata;
}

}  // namespace

InstructionModel make_instruction_model(const InstructionOptions& options, int64_t seed) {
  torch::manual_seed(stream_key(static_cast<uint64_t>(seed), "weights"));
  return InstructionModel(options);
}

Checkpoint instruction_checkpoint(const InstructionModel& model,
                                  const InstructionDescription& description) {
  return {.metadata = instruction_metadata(description),
          .model = named_tensors(*model),
          .tokenizer = tokenizer_tensors(description.tokenizer)};
}

bool is_instruction_checkpoint(const std::filesystem::path& path) {
  return tensor_format(path) == TensorFormat::kHdf5 &&
         load_metadata(path).contains(kInstructionKey);
}

InstructionDescription instruction_description(const Json& metadata,
                                               const std::filesystem::path& path) {
  if (!metadata.contains(kInstructionKey)) {
    throw InputError(path.string(), "a model that follows instructions (softmoe tune)",
                     "another one");
  }
  InstructionDescription description;
  description.name = metadata_field<std::string>(metadata, "model_name", path);
  try {
    description.options = options_from_json<InstructionOptions>(
        metadata_field<Json>(metadata, kInstructionKey, path), kInstructionKey);
    validate(description.options);
  } catch (const UsageError& error) {
    throw InputError(path.string() + ": " + error.what());  // wrong in a file
  }
  description.preprocess = preprocess_field(metadata, path);
  description.tokenizer.kind = metadata_field<std::string>(metadata, "tokenizer", path);
  description.tasks = tasks_field(metadata, path);
  description.answers = metadata_field<std::vector<std::string>>(metadata, "answers", path);
  description.picture_side = metadata_field<int64_t>(metadata, "picture_side", path);
  constexpr int64_t kMaxSide = 4096;
  if (description.picture_side < 8 || description.picture_side > kMaxSide) {
    throw InputError(path.string() + ": metadata field 'picture_side'",
                     fmt::format("8 to {}", kMaxSide), std::to_string(description.picture_side));
  }
  return description;
}

LoadedInstruction load_instruction(const std::filesystem::path& path, const torch::Device& device) {
  if (!is_instruction_checkpoint(path)) {
    throw InputError(path.string(), "a model that follows instructions (softmoe tune)",
                     "another one");
  }
  auto checkpoint = load_checkpoint(path, {.optimizer = false, .tokenizer = true});
  LoadedInstruction loaded;
  loaded.description = instruction_description(checkpoint.metadata, path);
  loaded.description.tokenizer.data = tokenizer_data(checkpoint.tokenizer, path.string());
  loaded.metadata = std::move(checkpoint.metadata);
  {
    const SkipInitialization skip;
    loaded.model = InstructionModel(loaded.description.options);
  }
  load_into(*loaded.model, checkpoint.model, path.string());
  loaded.model->to(device);
  loaded.model->eval();
  return loaded;
}

}  // namespace softmoe
