#include "checkpoints/convert/scanned_blocks.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include "core/error.h"

namespace softmoe {
namespace {

constexpr std::string_view kScanned = "encoderblock/";
constexpr std::string_view kNumbered = "encoderblock_";

}  // namespace

NamedTensors split_blocks(const NamedTensors& tensors, const std::string& where) {
  NamedTensors result;
  int64_t depth = -1;
  for (const auto& [name, tensor] : tensors) {
    const auto at = name.find(kScanned);
    if (at == std::string::npos || (at > 0 && name[at - 1] != '/')) {
      result[name] = tensor;
      continue;
    }
    if (tensor.dim() < 1 || (depth >= 0 && tensor.size(0) != depth)) {
      throw InputError(where + ": " + name,
                       depth < 0 ? "a leading axis of blocks" : fmt::format("{} blocks", depth),
                       tensor.dim() < 1 ? "a number" : fmt::format("{}", tensor.size(0)));
    }
    depth = tensor.size(0);
    for (int64_t block = 0; block < depth; ++block) {
      result[fmt::format("{}{}{}/{}", name.substr(0, at), kNumbered, block,
                         name.substr(at + kScanned.size()))] = tensor[block];
    }
  }
  return result;
}

NamedTensors stacked_blocks(const NamedTensors& tensors) {
  std::map<std::string, std::map<int64_t, torch::Tensor>> stacks;
  NamedTensors result;
  for (const auto& [name, tensor] : tensors) {
    const auto at = name.find(kNumbered);
    const auto slash = at == std::string::npos ? at : name.find('/', at);
    if (slash == std::string::npos) {
      result[name] = tensor;
      continue;
    }
    const auto number = name.substr(at + kNumbered.size(), slash - at - kNumbered.size());
    stacks[name.substr(0, at) + std::string(kScanned) + name.substr(slash + 1)]
          [std::stoll(number)] = tensor;
  }
  for (const auto& [name, blocks] : stacks) {
    std::vector<torch::Tensor> parts;
    for (const auto& [block, tensor] : blocks) {
      TORCH_CHECK_VALUE(block == std::ssize(parts), "stacked_blocks: no block ", parts.size(),
                        " of ", name);
      parts.push_back(tensor);
    }
    result[name] = torch::stack(parts);  // [blocks, ...]
  }
  return result;
}

}  // namespace softmoe
