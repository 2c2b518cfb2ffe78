#include "checkpoints/load_into.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/nn/module.h>
#include <torch/utils.h>

#include "core/error.h"

namespace softmoe {
namespace {

/// Names for an error: all of a few, else the first ones and how many more.
class NameList {
 public:
  explicit NameList(std::string title) : title_(std::move(title)) {}

  void add(std::string text) {
    ++count_;
    if (count_ <= kShown) {
      shown_.push_back(std::move(text));
    }
  }
  void append_to(std::string& message) const {
    if (count_ == 0) {
      return;
    }
    message +=
        (message.empty() ? "" : "; ") + fmt::format("{} {}", title_, fmt::join(shown_, ", "));
    if (count_ > kShown) {
      message += fmt::format(" and {} more", count_ - kShown);
    }
  }

 private:
  static constexpr size_t kShown = 12;
  std::string title_;
  std::vector<std::string> shown_;
  size_t count_ = 0;
};

std::string shape_text(const torch::Tensor& tensor) {
  return fmt::format("[{}]", fmt::join(tensor.sizes(), ", "));
}

void compare(const NamedTensors& targets, const NamedTensors& tensors, const std::string& where,
             const LoadRules& rules) {
  NameList missing("missing");
  NameList unused("unknown to the model");
  NameList misshapen("of another shape or kind");
  for (const auto& [name, target] : targets) {
    const auto found = tensors.find(name);
    if (found == tensors.end()) {
      if (!rules.allow_missing) {
        missing.add(name);
      }
    } else if (found->second.sizes() != target.sizes()) {
      misshapen.add(fmt::format("{} {} (the model has {})", name, shape_text(found->second),
                                shape_text(target)));
    } else if (found->second.is_floating_point() != target.is_floating_point()) {
      misshapen.add(fmt::format("{} of {} (the model has {})", name,
                                c10::toString(found->second.scalar_type()),
                                c10::toString(target.scalar_type())));
    }
  }
  for (const auto& [name, tensor] : tensors) {
    if (!rules.allow_unused && targets.find(name) == targets.end()) {
      unused.add(name);
    }
  }
  std::string problems;
  missing.append_to(problems);
  misshapen.append_to(problems);
  unused.append_to(problems);
  if (!problems.empty()) {
    throw InputError(where + ": tensors do not fit the model: " + problems);
  }
}

/// Parameters and buffers by name; they share the memory of `module`.
NamedTensors module_state(const torch::nn::Module& module) {
  NamedTensors state;
  for (const auto& item : module.named_parameters()) {
    state[item.key()] = item.value().detach();
  }
  for (const auto& item : module.named_buffers()) {
    state[item.key()] = item.value().detach();
  }
  return state;
}

}  // namespace

void check_fit(const torch::nn::Module& module, const NamedTensors& tensors,
               const std::string& where, const LoadRules& rules) {
  compare(module_state(module), tensors, where, rules);
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
