#pragma once
/// What the optimizer of a model that comes from a checkpoint starts with.

#include <array>

#include "core/enum_names.h"

namespace softmoe {

/// The state of the optimizer at the start.
enum class OptimizerState {
  kReset,  ///< no moments
  kKeep,   ///< those of the checkpoint
};
template <>
inline constexpr std::array<EnumName<OptimizerState>, 2> kEnumNames<OptimizerState>{
    {{OptimizerState::kReset, "reset"}, {OptimizerState::kKeep, "keep"}}};

}  // namespace softmoe
