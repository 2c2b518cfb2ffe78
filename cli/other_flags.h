#pragma once
/// Flags that users of other programs know.

#include <string>

namespace softmoe::cli {

/// What to do instead of `argument`, a flag of timm or big_vision that has no like here; empty for
/// others.
std::string advice_on_other_flag(const std::string& argument);

}  // namespace softmoe::cli
