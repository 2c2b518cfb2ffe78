#include "core/name_list.h"

#include <algorithm>

#include "core/error.h"

namespace softmoe {

std::string name_list(const std::vector<std::string>& names, size_t max_shown) {
  const size_t shown = std::min(max_shown, names.size());
  std::string text;
  for (size_t index = 0; index < shown; ++index) {
    text += (index == 0 ? "" : ", ") + printable_text(names[index]);
  }
  const size_t more = names.size() - shown;
  return more == 0 ? text : text + " and " + std::to_string(more) + " more";
}

}  // namespace softmoe
