#pragma once
/// Parameters of google-research/vmoe in this project's names and layouts, and back. Only axes are
/// moved: values stay bit for bit, and gradients map the same way.
///
///     vmoe (Flax), within Encoder/encoderblock_i      ours, within blocks.i
///     SelfAttention/{query,key,value}/kernel          attn.qkv.weight [3 * dim, dim]
///       [dim, heads, head_dim]
///     Moe/Router/mu [dim, experts, slots]             moe.router.phi
///     Moe/Mlp/Dense_0/kernel [experts, dim, hidden]   moe.experts.fc1_weight [experts, hidden,
///     dim]

#include <string>

#include "core/npz.h"

namespace softmoe {

/// Converts names joined with '/', after a prefix "params/", "params/img/", "opt/target/",
/// "target/" or none; what does not lie under the prefix is ignored. Throws InputError that starts
/// with `where` and names what has no counterpart, is incomplete or has a wrong number of axes.
NamedTensors from_vmoe(const NamedTensors& flax, const std::string& where = "vmoe parameters");

/// The way back, without a prefix; `heads` is the number of attention heads.
NamedTensors to_vmoe(const NamedTensors& tensors, int64_t heads,
                     const std::string& where = "model parameters");

}  // namespace softmoe
