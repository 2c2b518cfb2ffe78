#pragma once
/// Activations. Internal linkage, as vector.h.

#include "core/activation.h"
#include "kernels/simd/math.h"

namespace softmoe::kernels {
namespace {

/// 1 / (1 + e^-x) to fp32 accuracy.
inline Floats sigmoid_exact(Floats x) {
  // Bounded, since the result would be 0 times infinity; min() returns its second operand, x, if
  // that is NaN.
  const Floats power = exp_exact(min(set1(80.0F), sub(zero(), x)));
  return reciprocal(add(set1(1.0F), power));
}

/// 1 / (1 + e^-x) to a relative error of 1e-4.
inline Floats sigmoid_rough(Floats x) {
  const Floats power = exp2_rough(mul(x, set1(-1.44269504F)));
  return rough_reciprocal(add(set1(1.0F), power));
}

/// SiLU: with kExact to fp32 accuracy, otherwise to that of bf16.
template <bool kExact>
inline Floats silu(Floats x) {
  return mul(x, kExact ? sigmoid_exact(x) : sigmoid_rough(x));
}

/// x Phi(x), kGeluTanh or kGeluExact, and its derivative: for both x p and p + x p'. With kExact to
/// fp32 accuracy, otherwise to that of bf16.
template <Activation kGelu, bool kExact>
inline Floats gelu(Floats x, Floats* derivative) {
  const Floats one = set1(1.0F);
  const Floats square = mul(x, x);
  if constexpr (kGelu == Activation::kGeluTanh) {
    // (1 + tanh(u)) / 2 = 1 / (1 + e^-2u), u = sqrt(2 / pi) (x + 0.044715 x^3).
    constexpr float kLinear = 2.0F * 0.79788456F;
    Floats share;
    if constexpr (kExact) {
      const Floats factor = fmadd(square, set1(kLinear * 0.044715F), set1(kLinear));
      share = sigmoid_exact(mul(x, factor));
    } else {
      constexpr float kOfTwo = -kLinear * 1.44269504F;
      const Floats factor = fmadd(square, set1(kOfTwo * 0.044715F), set1(kOfTwo));
      share = rough_reciprocal(add(one, exp2_rough(mul(x, factor))));
    }
    const Floats value = mul(x, share);
    if (derivative != nullptr) {
      const Floats slope = fmadd(square, set1(3.0F * kLinear * 0.044715F), set1(kLinear));
      *derivative = fmadd(mul(value, slope), sub(one, share), share);
    }
    return value;
  } else {
    // erf by Abramowitz and Stegun 7.1.26 (error 1.5e-7), whose e^(-x^2 / 2) is the density too.
    const Floats magnitude = mul(abs(x), set1(0.70710678F));
    const Floats t = reciprocal(fmadd(magnitude, set1(0.3275911F), one));
    const Floats density = exp2_rough(mul(square, set1(-0.72134752F)));
    Floats tail = set1(1.061405429F);
    tail = fmadd(tail, t, set1(-1.453152027F));
    tail = fmadd(tail, t, set1(1.421413741F));
    tail = fmadd(tail, t, set1(-0.284496736F));
    tail = fmadd(tail, t, set1(0.254829592F));
    tail = mul(mul(tail, t), mul(density, set1(0.5F)));
    const Floats share = choose_by_sign(x, tail, sub(one, tail));
    if (derivative != nullptr) {
      *derivative = fmadd(mul(x, density), set1(0.39894228F), share);
    }
    return mul(x, share);
  }
}

/// An activation of single values: with kExact to fp32 accuracy, otherwise to that of bf16.
template <Activation kActivation, bool kExact>
inline Floats activate(Floats x) {
  if constexpr (kActivation == Activation::kNone) {
    return x;
  } else if constexpr (kActivation == Activation::kGeluQuick) {
    const Floats inner = mul(x, set1(1.702F));
    return mul(x, kExact ? sigmoid_exact(inner) : sigmoid_rough(inner));
  } else {
    return gelu<kActivation, kExact>(x, nullptr);
  }
}

}  // namespace
}  // namespace softmoe::kernels
