#include "datasets/dataset.h"

#include <algorithm>

namespace softmoe {

std::vector<std::string> Dataset::class_texts() const {
  auto texts = class_names();
  for (auto& text : texts) {
    std::replace(text.begin(), text.end(), '_', ' ');
  }
  return texts;
}

}  // namespace softmoe
