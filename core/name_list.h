#pragma once
/// Lists of names for messages.

#include <string>
#include <vector>

namespace softmoe {

/// "a, b, c and 5 more" of `names` from outside: the first `max_shown` of them, each as
/// printable_text().
std::string name_list(const std::vector<std::string>& names, size_t max_shown = 12);

}  // namespace softmoe
