#include "checkpoints/convert/vmoe_routers.h"

#include <c10/util/Exception.h>

#include <array>
#include <vector>

namespace softmoe {

std::span<const std::string_view> options_of_ours() {
  static constexpr std::array<std::string_view, 7> kNames{
      "combine",    "router-scale-form", "router-scale-max", "separate-scales",
      "expert-dim", "shared-mlp",        "moe-layer-scale"};
  return kNames;
}

std::string recognized_router(RoutingKind kind) {
  for (const auto& row : router_rows()) {
    if (row.vmoe == VmoeForm::kRecognized && row.kind == kind) {
      return std::string(row.name);
    }
  }
  TORCH_INTERNAL_ASSERT(false, "no router of this kind is recognized by its weights");
}

std::string writable_routers() {
  std::vector<std::string> names;
  for (const auto& row : router_rows()) {
    if (row.vmoe != VmoeForm::kNone) {
      names.emplace_back(row.name);
    }
  }
  std::string text = names.front();
  for (size_t index = 1; index < names.size(); ++index) {
    text += (index + 1 == names.size() ? " or " : ", ") + names[index];
  }
  return text;
}

}  // namespace softmoe
