#include "core/named_tensors.h"

#include <utility>

namespace softmoe {

NamedTensors take_part(NamedTensors& tensors, const std::string& prefix) {
  NamedTensors part;
  for (auto item = tensors.lower_bound(prefix);
       item != tensors.end() && item->first.starts_with(prefix); item = tensors.erase(item)) {
    part[item->first.substr(prefix.size())] = std::move(item->second);
  }
  return part;
}

}  // namespace softmoe
