#include "checkpoints/formats/opaque_object.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"

namespace softmoe {

const OpaqueObject* likely_model(const std::vector<OpaqueObject>& objects) {
  const auto found = std::find_if(objects.begin(), objects.end(),
                                  [](const OpaqueObject& object) { return object.holds_tensors; });
  if (found != objects.end()) {
    return &*found;
  }
  return objects.empty() ? nullptr : &objects.front();
}

std::string described(const OpaqueObject& object) {
  const auto place =
      object.name.empty() ? "" : fmt::format(" at '{}'", printable_text(object.name));
  return fmt::format("an object of {}{}", object.maker, place);
}

}  // namespace softmoe
