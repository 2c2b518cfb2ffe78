#pragma once
/// What the code of a family cannot compute, and what it does differently.

#include <string>

#include "checkpoints/convert/families.h"

namespace softmoe {

/// Throws InputError that starts with `where` if the code of `family` computes something else with
/// the weights of a model of `options`.
void check_expressible(const Family& family, const VitOptions& options, const std::string& where);

/// The only pooling that the code of `family` has for such a model; nothing: others too.
std::optional<GlobalPool> only_pooling(const Family& family, const VitOptions& options);

/// Returns true if the code of `family` knows learned positions alone, and the model has others.
bool has_unknown_positions(const Family& family, const VitOptions& options);

/// Returns true if the code of `family` has a bias in the patch embedding of such a model.
bool has_patch_bias(const Family& family, const VitOptions& options);

}  // namespace softmoe
