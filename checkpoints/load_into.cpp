#include "checkpoints/load_into.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/nn/module.h>
#include <torch/utils.h>

#include "checkpoints/module_tensors.h"
#include "core/error.h"
#include "core/name_list.h"

namespace softmoe {
namespace {

std::string shape_text(const torch::Tensor& tensor) {
  return fmt::format("[{}]", fmt::join(tensor.sizes(), ", "));
}

/// The dtype that a model wants: any floating point is converted to its own.
std::string wanted_kind(const torch::Tensor& target) {
  return target.is_floating_point() ? "floating point" : c10::toString(target.scalar_type());
}

/// What is wrong with `found` as the tensor `target` of a model; empty if it fits.
std::string misfit(const torch::Tensor& found, const torch::Tensor& target) {
  if (found.sizes() != target.sizes()) {
    return fmt::format("{} (the model has {})", shape_text(found), shape_text(target));
  }
  if (found.is_floating_point() != target.is_floating_point()) {
    return fmt::format("of {} (the model has {})", c10::toString(found.scalar_type()),
                       wanted_kind(target));
  }
  return "";
}

}  // namespace

void check_fit(const torch::nn::Module& module, const NamedTensors& tensors,
               const std::string& where, const LoadRules& rules) {
  const auto targets = named_tensors(module);
  const auto described = [&](const std::string& name) {
    return rules.described ? rules.described(name) : name;
  };
  std::vector<std::string> missing;
  std::vector<std::string> misshapen;
  std::vector<std::string> unknown;
  for (const auto& [name, target] : targets) {
    const auto found = tensors.find(name);
    if (found == tensors.end()) {
      if (!rules.allow_missing) {
        missing.push_back(described(name));
      }
    } else if (const auto problem = misfit(found->second, target); !problem.empty()) {
      misshapen.push_back(described(name) + " " + problem);
    }
  }
  for (const auto& [name, tensor] : tensors) {
    if (!rules.allow_unused && !targets.contains(name)) {
      unknown.push_back(described(name));
    }
  }
  std::string problems;
  for (const auto& [title, names] : {std::pair{"missing ", &missing},
                                     {"of another shape or kind ", &misshapen},
                                     {"unknown to the model ", &unknown}}) {
    if (!names->empty()) {
      problems += (problems.empty() ? "" : "; ") + (title + name_list(*names));
    }
  }
  if (!problems.empty()) {
    throw InputError(where + ": tensors do not fit the model: " + problems);
  }
}

void load_into(torch::nn::Module& module, const NamedTensors& tensors, const std::string& where,
               const LoadRules& rules) {
  check_fit(module, tensors, where, rules);
  const torch::NoGradGuard no_grad;
  const auto load = [&](const auto& items) {
    for (const auto& item : items) {
      const auto found = tensors.find(item.key());
      if (found == tensors.end()) {
        continue;
      }
      const torch::Tensor& source = found->second;
      torch::Tensor target = item.value();
      TORCH_CHECK_VALUE(!target.is_meta(), "load_into: ", item.key(), " has no memory");
      const bool same_kind = source.scalar_type() == target.scalar_type() &&
                             source.device() == target.device() && source.is_contiguous();
      if (rules.share_memory && same_kind) {
        target.set_data(source);
      } else {
        target.copy_(source);
      }
    }
  };
  load(module.named_parameters());
  load(module.named_buffers());
}

}  // namespace softmoe
