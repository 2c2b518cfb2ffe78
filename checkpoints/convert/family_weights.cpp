#include "checkpoints/convert/family_weights.h"

#include <fmt/format.h>

#include "checkpoints/convert/scanned_blocks.h"
#include "core/error.h"
#include "core/name_list.h"

namespace softmoe {
namespace {

/// Gives queries, keys and values zero biases if no block has any; returns true if it gave them.
bool add_qkv_biases(NamedTensors& tensors) {
  NamedTensors biases;
  for (const auto& [name, tensor] : tensors) {
    if (name.ends_with(".attn.qkv.bias")) {
      return false;
    }
    if (name.ends_with(".attn.qkv.weight") && tensor.dim() == 2) {
      biases[name.substr(0, name.rfind('.')) + ".bias"] =
          torch::zeros({tensor.size(0)}, tensor.options());
    }
  }
  const bool added = !biases.empty();
  tensors.merge(biases);
  return added;
}

}  // namespace

RenamedTensors to_our_names(const FoundModel& found, const std::string& where) {
  const auto& family = *found.family;
  RenamedTensors renamed{.tensors = found.tensors, .unmatched = {}, .heads = 0};
  if (!family.tensors.rows.empty()) {
    renamed = to_our_names(found.tensors, family.tensors.rows, where);
  }
  auto unmatched = found.unmatched;
  unmatched.insert(unmatched.end(), renamed.unmatched.begin(), renamed.unmatched.end());
  if (!unmatched.empty()) {
    throw InputError(fmt::format(
        "{}: no counterpart of {} (read as family {}; softmoe convert --leave-out does without)",
        where, name_list(unmatched), family.name));
  }
  if (family.tensors.to_ours != nullptr) {
    family.tensors.to_ours(renamed.tensors, where);
  }
  renamed.has_qkv_bias = !add_qkv_biases(renamed.tensors);
  return renamed;
}

NamedTensors to_family_names(const NamedTensors& tensors, const Family& family, int64_t heads,
                             const std::string& where) {
  auto ours = tensors;
  if (family.tensors.from_ours != nullptr) {
    family.tensors.from_ours(ours, where);
  }
  if (family.tensors.rows.empty()) {
    return ours;
  }
  auto theirs = to_their_names(ours, family.tensors.rows, heads, where);
  return family.tensors.scanned ? stacked_blocks(theirs) : theirs;
}

std::string name_with_family(const Family& family, const std::string& name) {
  const auto theirs = their_name(family.tensors.rows, name);
  return theirs.empty() || theirs == name ? name : theirs + " (" + name + ")";
}

}  // namespace softmoe
