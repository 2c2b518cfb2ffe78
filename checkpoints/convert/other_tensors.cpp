#include "checkpoints/convert/other_tensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string_view>

#include "checkpoints/convert/timm_names.h"
#include "checkpoints/parameter_names.h"
#include "core/error.h"
#include "core/lower_case.h"
#include "core/name_list.h"
#include "core/pluralize.h"

namespace softmoe {
namespace {

/// Beginnings of the first part of names that belong to training, to other towers and heads.
constexpr std::array<std::string_view, 51> kOfTraining = {"acc",
                                                          "amp",
                                                          "arcface",
                                                          "callback",
                                                          "center",
                                                          "criterion",
                                                          "decoder",
                                                          "dino",
                                                          "ema_",
                                                          "epoch",
                                                          "global_step",
                                                          "grad",
                                                          "hparams",
                                                          "hyper_parameters",
                                                          "ibot",
                                                          "iter",
                                                          "koleo",
                                                          "logit_bias",
                                                          "logit_scale",
                                                          "loss",
                                                          "lr_",
                                                          "mask",
                                                          "metric",
                                                          "mixup",
                                                          "model_ema",
                                                          "momentum",
                                                          "n_averaged",
                                                          "opt_",
                                                          "optim",
                                                          "pooler",
                                                          "predictor",
                                                          "projection_head",
                                                          "projector",
                                                          "proj_head",
                                                          "prototype",
                                                          "queue",
                                                          "rng",
                                                          "sampler",
                                                          "scaler",
                                                          "sched",
                                                          "state_dict_ema",
                                                          "step",
                                                          "student",
                                                          "swa",
                                                          "target_",
                                                          "teacher",
                                                          "test_",
                                                          "text",
                                                          "train_",
                                                          "val_",
                                                          "warmup"};

/// Whole first parts of the same kind.
constexpr std::array<std::string_view, 4> kWholeOfTraining = {"ema", "opt", "optimizer", "step"};

/// Parts of names that are found in models.
constexpr std::array<std::string_view, 23> kOfModels = {
    "head",      "classif", "embed", "pos",   "norm", "token",  "rope",  "rel",
    "block",     "layer",   "stage", "patch", "stem", "neck",   "pool",  "attn",
    "attention", "fc",      "proj",  "conv",  "freq", "expert", "router"};

/// Names of counters that are stored as floating-point numbers.
constexpr std::array<std::string_view, 2> kCounters = {"total_ops", "total_params"};

/// Whole names of layers that classify, beside those with "head" or "classif".
constexpr std::array<std::string_view, 6> kClassifiers = {"fc",     "linear", "cls",
                                                          "logits", "output", "out"};

/// Parts of the names of adapters, and of what they wrap.
constexpr std::array<std::string_view, 3> kAdapterParts = {"base_layer", "modules_to_save",
                                                           "original_module"};

bool is_separator(char letter) { return letter == '.' || letter == '/'; }

/// The parts of a name.
std::vector<std::string_view> parts_of(std::string_view name) {
  std::vector<std::string_view> parts;
  size_t begin = 0;
  for (size_t end = 0; end <= name.size(); ++end) {
    if (end == name.size() || is_separator(name[end])) {
      parts.push_back(name.substr(begin, end - begin));
      begin = end + 1;
    }
  }
  return parts;
}

bool is_number(std::string_view part) {
  return !part.empty() && part.find_first_not_of("0123456789") == std::string_view::npos;
}

template <size_t count>
bool contains(const std::array<std::string_view, count>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool is_of_training(std::string_view part) {
  return contains(kWholeOfTraining, part) ||
         std::any_of(kOfTraining.begin(), kOfTraining.end(),
                     [&](std::string_view word) { return part.starts_with(word); });
}

bool is_adapter_part(const std::string& part) {
  return part.starts_with("lora_") || part == "lora" || contains(kAdapterParts, part);
}

bool is_adapter(const std::string& name) {
  const auto parts = parts_of(name);
  return std::any_of(parts.begin(), parts.end(), [](std::string_view part) {
    return is_adapter_part(lower_case(std::string(part)));
  });
}

/// First parts of names in `rows`, in lower case.
std::set<std::string> first_parts(std::span<const NameRow> rows) {
  std::set<std::string> parts;
  for (const auto& row : rows) {
    parts.insert(lower_case(std::string(parts_of(row.theirs).front())));
  }
  return parts;
}

bool is_counter(std::string_view leaf, const torch::Tensor& tensor) {
  return contains(kCounters, leaf) ||
         c10::isIntegralType(tensor.scalar_type(), /*includeBool=*/false);
}

/// First parts of the names in models of all families.
const std::set<std::string>& parts_of_models() {
  static const auto parts = [] {
    std::set<std::string> all = first_parts(timm_names());
    for (const auto& family : families()) {
      all.merge(first_parts(family.tensors.rows));
    }
    return all;
  }();
  return parts;
}

/// The group of a name: "optimizer.*", or of tensors in the model "blocks.*.attn.total_ops".
std::string group_of(const std::string& name) {
  const auto end = name.find_first_of("./");
  if (end == std::string::npos) {
    return name;
  }
  std::string group = name.substr(0, end);
  if (!parts_of_models().contains(lower_case(group))) {
    return group + name[end] + "*";
  }
  for (const auto part : parts_of(std::string_view(name).substr(end + 1))) {
    group += name[end];
    group += is_number(part) ? "*" : part;
  }
  return group;
}

}  // namespace

void refuse_adapters(const NamedTensors& tensors, const std::string& where) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : tensors) {
    if (is_adapter(name)) {
      names.push_back(name);
    }
  }
  if (!names.empty()) {
    throw InputError(
        where,
        "the weights of a whole model: merge LoRA into its model first, for example by "
        "merge_and_unload() of peft, and save that",
        fmt::format("{} of LoRA ({})", pluralize(std::ssize(names), "tensor"),
                    name_list(names, /*max_shown=*/2)));
  }
}

bool is_other_tensor(const std::string& name, const torch::Tensor& tensor, const Family& family,
                     int64_t dim) {
  if (family.is_ours && block_parameter(name)) {
    return false;
  }
  const auto parts = parts_of(name);
  if (is_counter(parts.back(), tensor) ||
      std::find(parts.begin(), parts.end(), "mask_token") != parts.end()) {
    return true;
  }
  const auto first = lower_case(std::string(parts.front()));
  const auto& rows = family.tensors.rows;
  if (first_parts(rows.empty() ? timm_names() : rows).contains(first)) {
    return false;
  }
  if (is_of_training(first)) {
    return true;
  }
  const bool sounds_like_model =
      std::any_of(kOfModels.begin(), kOfModels.end(),
                  [&](std::string_view word) { return first.find(word) != std::string::npos; });
  const auto sizes = tensor.sizes();
  return !sounds_like_model && std::find(sizes.begin(), sizes.end(), dim) == sizes.end();
}

bool is_classifier(const NamedTensors& tensors, const std::string& name, int64_t dim) {
  auto parts = parts_of(name);
  if (parts.size() < 2 || std::any_of(parts.begin(), parts.end(), [](std::string_view part) {
        return is_of_training(lower_case(std::string(part)));
      })) {
    return false;
  }
  const auto module = name.substr(0, name.size() - parts.back().size());  // with the separator
  parts.pop_back();
  while (parts.size() > 1 && is_number(parts.back())) {
    parts.pop_back();  // of a sequence of layers
  }
  const auto layer = lower_case(std::string(parts.back()));
  const bool sounds_like_head = layer.find("head") != std::string::npos ||
                                layer.find("classif") != std::string::npos ||
                                contains(kClassifiers, layer);
  const auto weight = tensors.find(module + (module.back() == '.' ? "weight" : "kernel"));
  if (!sounds_like_head || weight == tensors.end() || weight->second.dim() != 2) {
    return false;
  }
  const auto inputs = weight->second.size(module.back() == '.' ? 1 : 0);
  return inputs == dim || inputs == 2 * dim;  // of the class token and the mean of all others
}

std::string grouped_names(const std::vector<std::string>& names) {
  std::map<std::string, std::vector<std::string>> groups;
  for (const auto& name : names) {
    groups[group_of(name)].push_back(name);
  }
  std::vector<std::string> texts;
  for (const auto& [group, members] : groups) {
    texts.push_back(members.size() == 1
                        ? members.front()
                        : fmt::format("{} of {}", pluralize(std::ssize(members), "tensor"), group));
  }
  return name_list(texts);
}

}  // namespace softmoe
