#pragma once
/// Named tensors into the parameters and buffers of a module.

#include <functional>
#include <string>

#include "core/named_tensors.h"

namespace torch::nn {
class Module;
}

namespace softmoe {

/// How check_fit() and load_into() compare.
struct LoadRules {
  bool allow_missing = false;  ///< the module may keep values that `tensors` does not have
  bool allow_unused = false;   ///< `tensors` may hold names that the module does not have
  /// Let the module use the memory of tensors of its own dtype and device instead of copying them.
  /// For large models; the tensors must not be used for anything else afterwards.
  bool share_memory = false;
  /// The name of a tensor in messages; null: its own.
  std::function<std::string(const std::string& name)> described = {};
};

/// Throws one InputError that starts with `where` and lists the tensors that the module has and
/// `tensors` does not, those of another shape or kind, and those that the module does not have.
void check_fit(const torch::nn::Module& module, const NamedTensors& tensors,
               const std::string& where, const LoadRules& rules = {});

/// Sets the parameters and buffers of `module` to `tensors`, converting dtype and device. Throws as
/// check_fit() does; nothing is changed then.
void load_into(torch::nn::Module& module, const NamedTensors& tensors, const std::string& where,
               const LoadRules& rules = {});

}  // namespace softmoe
