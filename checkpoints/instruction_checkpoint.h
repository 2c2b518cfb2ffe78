#pragma once
/// Models that follow instructions in files, with all that it takes to ask them.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "checkpoints/checkpoint.h"
#include "checkpoints/stored_tokenizer.h"
#include "datasets/preprocess_options.h"
#include "datasets/tasks/task_options.h"
#include "vit/instruction_model.h"

namespace softmoe {

/// A task that a model was trained on, or that was held out.
struct KnownTask {
  TaskOptions options;
  bool held_out = false;
};

/// All that it takes to use a model that follows instructions, without its weights.
struct InstructionDescription {
  std::string name;  ///< the preset that its image tower was made from
  InstructionOptions options;
  std::optional<PreprocessOptions> preprocess;
  StoredTokenizer tokenizer;
  std::vector<KnownTask> tasks;
  std::vector<std::string> answers;  ///< words of answers of its tasks
  int64_t picture_side = 64;         ///< of pictures that its tasks made, in pixels
};

/// A model read from a file, in evaluation mode.
struct LoadedInstruction {
  InstructionModel model{nullptr};
  InstructionDescription description;
  Json metadata;  ///< all of it, that of the description included
};

/// The key of the options in the metadata of a checkpoint, by which it is known to be of such a
/// model.
inline constexpr const char* kInstructionKey = "instruction";

/// A model of `options` with the initial weights of `seed`.
InstructionModel make_instruction_model(const InstructionOptions& options, int64_t seed);

/// A native checkpoint of `model`, its description and its tokenizer, to which training adds what
/// it needs.
Checkpoint instruction_checkpoint(const InstructionModel& model,
                                  const InstructionDescription& description);

/// Returns true if `path` is a native checkpoint of a model that follows instructions. Throws
/// InputError if it is a damaged native checkpoint, or does not exist.
bool is_instruction_checkpoint(const std::filesystem::path& path);

/// The description in `metadata` of `path`; the data of the tokenizer stand in the checkpoint's
/// tensors. Throws InputError that names `path` and the field.
InstructionDescription instruction_description(const Json& metadata,
                                               const std::filesystem::path& path);

/// Reads a checkpoint onto `device`. Throws InputError that names the file, and the tensor or
/// field, if anything does not fit.
LoadedInstruction load_instruction(const std::filesystem::path& path,
                                   const torch::Device& device = torch::kCPU);

}  // namespace softmoe
