#pragma once
/// The options of a model that follows instructions about images.

#include "vit/text_options.h"

namespace softmoe {

/// Everything that defines a model that follows instructions but its weights.
struct InstructionOptions {
  VitOptions image;           ///< without a head: num_classes is 0
  TextOptions text;           ///< of the tower that reads questions and answers
  double logit_scale = 10.0;  ///< initial factor of cosines; learned as its logarithm

  bool operator==(const InstructionOptions&) const = default;
};

/// Options of the image tower by their own names, then describe_instruction_side().
void describe(OptionTable& table, InstructionOptions& options);
/// Options of the text tower after "text-", and that of answers.
void describe_instruction_side(OptionTable& table, InstructionOptions& options);

/// Throws UsageError that names the option if the options contradict each other, or if a router
/// takes no tokens of texts.
void validate(const InstructionOptions& options);

/// The options of a model with an image tower of `image`, and a text tower of its width with two
/// blocks that reads texts in both directions.
InstructionOptions instruction_options(const VitOptions& image);

}  // namespace softmoe
