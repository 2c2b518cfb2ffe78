#pragma once
/// Damaged copies of valid files.

#include <string>
#include <vector>

#include "core/rng.h"

namespace softmoe::fuzz {

/// One of `seeds` after a few random changes: bits and bytes altered, pieces cut out, doubled or
/// taken from another seed, the end cut off, numbers (binary and decimal) replaced by those that
/// programs get wrong.
std::string mutate(const std::vector<std::string>& seeds, Rng& rng);

}  // namespace softmoe::fuzz
