#pragma once
/// Our description of a model in the comment of an npz file, which NumPy ignores: big_vision
/// refuses arrays that it does not know.

#include <optional>
#include <string>

#include "checkpoints/model_description.h"

namespace softmoe {

/// The comment that describes a model; without the names of its classes if they are too long for
/// one (names_fit_npz()).
std::string npz_description(const ModelDescription& description);

/// Returns true if the comment has room for the names of the classes.
bool names_fit_npz(const ModelDescription& description);

/// The description in a comment, as JSON; nothing if it is a comment of other programs.
std::optional<std::string> described_in_npz(const std::string& comment);

}  // namespace softmoe
