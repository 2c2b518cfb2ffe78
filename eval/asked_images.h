#pragma once
/// Questions to a model that follows instructions about images of one's own.

#include <memory>
#include <string>
#include <vector>

#include "checkpoints/instruction_checkpoint.h"
#include "eval/batch_loop.h"
#include "text/tokenizer.h"

namespace softmoe {

/// A model with what makes its inputs, in evaluation mode.
struct AskedModel {
  InstructionModel model{nullptr};
  InstructionDescription description;
  std::unique_ptr<Tokenizer> tokenizer;
  Json metadata;  ///< of its checkpoint

  /// How its images are made. Throws InputError that names `checkpoint` if that is not known.
  Transform transform(const std::string& checkpoint) const;
};

/// Reads a checkpoint of `softmoe tune` onto `device`. Throws InputError that names the file.
AskedModel open_asked_model(const std::string& checkpoint, const torch::Device& device);

/// Throws UsageError that names `flag` unless `answers` are two or more different texts that have
/// tokens.
void check_asked_answers(const AskedModel& model, const std::vector<std::string>& answers,
                         const std::string& flag);

/// Answers about images.
struct AskedAnswers {
  torch::Tensor probabilities;   ///< [images, answers] fp32, on the CPU
  std::vector<int64_t> indices;  ///< of the images that could be read
  std::vector<BadImage> bad;
};

/// Asks `question` about the images of `images`: how probable each of `answers` is. Throws
/// InputError if no image can be read.
AskedAnswers ask_images(AskedModel& model, const Dataset& images, const std::string& question,
                        const std::vector<std::string>& answers, const Transform& transform,
                        LoaderOptions loader, const BatchLoopOptions& options);

}  // namespace softmoe
