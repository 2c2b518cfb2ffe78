#include "checkpoints/convert/weight_hooks.h"

#include "core/error.h"

namespace softmoe {
namespace {

bool is_zero(const torch::Tensor& tensor) { return tensor.eq(0).all().item<bool>(); }

/// Adds the token that replaces hidden patches in the training of DINOv2.
void add_mask_token(NamedTensors& tensors) {
  const auto class_token = tensors.find("cls_token");
  if (class_token != tensors.end()) {
    tensors["mask_token"] = torch::zeros_like(class_token->second).flatten(0, 1);  // [1, dim]
  }
}

}  // namespace

void add_head_bias(NamedTensors& tensors, const std::string& /*where*/) {
  const auto weight = tensors.find("head.weight");
  if (weight != tensors.end() && !tensors.contains("head.bias")) {
    tensors["head.bias"] = torch::zeros({weight->second.size(0)}, weight->second.options());
  }
}

void drop_head_bias(NamedTensors& tensors, const std::string& where) {
  const auto bias = tensors.find("head.bias");
  if (bias != tensors.end() && !is_zero(bias->second)) {
    throw InputError(where + ": head.bias", "zeros: CLIP's projection has none", "others");
  }
  tensors.erase("head.bias");
}

void add_register_positions(NamedTensors& tensors, const std::string& /*where*/) {
  const auto registers = tensors.find("reg_token");
  const auto positions = tensors.find("pos_embed");
  if (registers == tensors.end() || positions == tensors.end() || positions->second.size(1) < 1) {
    return;
  }
  const auto& table = positions->second;  // [1, 1 + patches, dim]
  positions->second = torch::cat({table.narrow(1, 0, 1), torch::zeros_like(registers->second),
                                  table.narrow(1, 1, table.size(1) - 1)},
                                 1);  // [1, 1 + registers + patches, dim]
}

void drop_unused_pool(NamedTensors& tensors, const std::string& /*where*/) {
  if (tensors.contains("head.weight")) {
    std::erase_if(tensors, [](const auto& item) { return item.first.starts_with("attn_pool."); });
  }
}

void drop_register_positions(NamedTensors& tensors, const std::string& where) {
  const auto registers = tensors.find("reg_token");
  const auto positions = tensors.find("pos_embed");
  if (registers == tensors.end() || positions == tensors.end()) {
    return;
  }
  const auto& table = positions->second;  // [1, 1 + registers + patches, dim]
  const int64_t count = registers->second.size(1);
  if (table.size(1) < 1 + count || !is_zero(table.narrow(1, 1, count))) {
    throw InputError(where + ": pos_embed", "zeros for registers: DINOv2 has no positions for them",
                     "others");
  }
  const auto patches = table.narrow(1, 1 + count, table.size(1) - 1 - count);
  positions->second = torch::cat({table.narrow(1, 0, 1), patches}, 1);
}

void to_dinov2(NamedTensors& tensors, const std::string& where) {
  drop_register_positions(tensors, where);
  add_mask_token(tensors);
}

void drop_qk_norm_biases(NamedTensors& tensors, const std::string& where) {
  std::erase_if(tensors, [&](const auto& item) {
    const auto& [name, tensor] = item;
    if (!name.ends_with("q_norm.bias") && !name.ends_with("k_norm.bias")) {
      return false;
    }
    if (!is_zero(tensor)) {
      throw InputError(where + ": " + name, "zeros: QK-norm has no bias here", "others");
    }
    return true;
  });
}

void add_qk_norm_biases(NamedTensors& tensors, const std::string& /*where*/) {
  NamedTensors biases;
  for (const auto& [name, tensor] : tensors) {
    if (name.ends_with("q_norm.weight") || name.ends_with("k_norm.weight")) {
      biases[name.substr(0, name.rfind('.')) + ".bias"] = torch::zeros_like(tensor);
    }
  }
  tensors.merge(biases);
}

}  // namespace softmoe
