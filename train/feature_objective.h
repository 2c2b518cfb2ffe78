#pragma once
/// The objective of matched tokens.

#include "train/objective.h"

namespace softmoe {

/// The mean squared difference, per image, [batch], of the mapped tokens of a student from those of
/// its teacher, which are normalised to mean 0 and variance 1 over the channels of each token, so
/// that all blocks weigh alike (Wei et al., arXiv:2205.14141, section 3).
torch::Tensor token_losses(const MatchedTokens& matched);

/// token_losses(), mean over the blocks of `context.matched`, with the weight feature_weight().
ObjectiveLoss feature_objective(const ObjectiveOptions& options, const StepContext& context);

}  // namespace softmoe
