#pragma once
/// Precisions: the one vocabulary of kernels, engines, training, benchmarks, files and flags.

#include <array>
#include <string>
#include <string_view>

#include "core/enum_names.h"

namespace softmoe {

/// What is computed in, or what numbers are stored in.
enum class Precision {
  kFloat32,
  kBFloat16,  ///< products of bf16; sums, norms, softmaxes and the residual stream in fp32
  kFloat16,
  kFloat64,
  kInt8,         ///< as kBFloat16, but linear maps of 8-bit weights and activations
  kInt8Experts,  ///< as kBFloat16, but the weights of experts in 8 bits, their activations in 16
};
template <>
inline constexpr std::array<EnumName<Precision>, 6> kEnumNames<Precision>{
    {{Precision::kFloat32, "float32"},
     {Precision::kBFloat16, "bfloat16"},
     {Precision::kFloat16, "float16"},
     {Precision::kFloat64, "float64"},
     {Precision::kInt8, "int8"},
     {Precision::kInt8Experts, "int8_experts"}}};

/// Returns true if weights have 8 bits, those of all linear maps or those of experts alone.
constexpr bool has_8_bit_weights(Precision precision) {
  return precision == Precision::kInt8 || precision == Precision::kInt8Experts;
}

/// "fp32", "bf16", "fp16" or "fp64" for the precision called `name`, "" if it has no short name.
std::string short_precision_name(std::string_view name);

/// The name above of a precision that is given by its short name; any other text as it is.
std::string full_precision_name(const std::string& text);

/// The precision of one of the names above, or of fp32, bf16, fp16 or fp64. Throws UsageError.
Precision parse_precision(const std::string& name);

}  // namespace softmoe
