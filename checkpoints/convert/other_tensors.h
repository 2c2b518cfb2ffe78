#pragma once
/// Tensors in a file that are not the model's: of optimizers, averages, losses, other towers.

#include <cstdint>
#include <string>
#include <vector>

#include "checkpoints/convert/families.h"

namespace softmoe {

/// Throws InputError that starts with `where` if `tensors` hold adapters of LoRA, or what they left
/// of a model: such weights are not those of the model until they are merged.
void refuse_adapters(const NamedTensors& tensors, const std::string& where);

/// Returns true if a tensor beside those of a model, for which `family` has no name, is certainly
/// not part of it: counters; what belongs to training, by the first part of `name`; and what has
/// neither a word of such models in its name nor an axis of their width, `dim`.
bool is_other_tensor(const std::string& name, const torch::Tensor& tensor, const Family& family,
                     int64_t dim);

/// Returns true if `name`, which stands outside the model, is that of a layer of `tensors` that
/// classifies by features of width `dim`: without it the model would lose its head.
bool is_classifier(const NamedTensors& tensors, const std::string& name, int64_t dim);

/// "3 tensors of optimizer.*, loss": names of tensors by group, for messages.
std::string grouped_names(const std::vector<std::string>& names);

}  // namespace softmoe
