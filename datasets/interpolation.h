#pragma once
/// Filters for resizing images.

#include <array>

#include "core/options.h"

namespace softmoe {

/// Kernels by Pillow's names; bicubic has a = -0.5. All but kNearest widen when shrinking.
enum class Interpolation { kBilinear, kBicubic, kBox, kNearest };
template <>
inline constexpr std::array<EnumName<Interpolation>, 4> kEnumNames<Interpolation>{
    {{Interpolation::kBilinear, "bilinear"},
     {Interpolation::kBicubic, "bicubic"},
     {Interpolation::kBox, "box"},
     {Interpolation::kNearest, "nearest"}}};

}  // namespace softmoe
