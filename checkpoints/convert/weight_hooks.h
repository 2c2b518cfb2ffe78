#pragma once
/// Changes of weights between families other than renaming; see WeightHook. All of them take
/// tensors under our names.

#include <string>

#include "core/named_tensors.h"

namespace softmoe {

/// CLIP's projection has no bias, our head has one: zeros.
void add_head_bias(NamedTensors& tensors, const std::string& where);
void drop_head_bias(NamedTensors& tensors, const std::string& where);

/// DINOv2 has no positions for registers; ours are zeros.
void add_register_positions(NamedTensors& tensors, const std::string& where);
void drop_register_positions(NamedTensors& tensors, const std::string& where);

/// drop_register_positions(), and the mask token without which DINOv2's own code loads no model.
void to_dinov2(NamedTensors& tensors, const std::string& where);

/// The classifier of Hugging Face's SigLIP reads the mean of the tokens, not the attention pool.
void drop_unused_pool(NamedTensors& tensors, const std::string& where);

/// timm's QK-norm has biases, ours has none.
void add_qk_norm_biases(NamedTensors& tensors, const std::string& where);
void drop_qk_norm_biases(NamedTensors& tensors, const std::string& where);

}  // namespace softmoe
