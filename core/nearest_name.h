#pragma once
/// What a mistyped name may mean.

#include <string>
#include <vector>

namespace softmoe {

/// ", did you mean NAME?" with the name of `known` that is at most three typing mistakes away from
/// `name`, in at most every second letter, or "" if there is none. Letters count in either case.
std::string did_you_mean(const std::string& name, const std::vector<std::string>& known);

}  // namespace softmoe
