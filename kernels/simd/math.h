#pragma once
/// Powers and reciprocals of vectors. Internal linkage, as vector.h.

#include "kernels/simd/vector.h"

namespace softmoe::kernels {
namespace {

/// 2^x to a relative error of 4e-6: enough for what is then rounded to bf16. At least 2^-126:
/// numbers below it take processors of Intel a hundred times as long. NaN stays NaN.
inline Floats exp2_rough(Floats x) {
  // max() returns its second operand if one is NaN.
  const Floats bounded = max(set1(-126.0F), x);
  const Floats whole = round(bounded);
  const Floats part = sub(bounded, whole);  // in [-0.5, 0.5]
  Floats value = set1(9.570151e-3F);
  value = fmadd(value, part, set1(5.5917534e-2F));
  value = fmadd(value, part, set1(2.4022852e-1F));
  value = fmadd(value, part, set1(6.9312101e-1F));
  value = fmadd(value, part, set1(1.0000002F));
  return scale_by_power(value, whole);
}

/// e^x to fp32 accuracy; NaN stays NaN, large negative values give 0.
inline Floats exp_exact(Floats x) {
  // max() returns its second operand if one is NaN.
  const Floats bounded = max(set1(-126.0F), x);
  const Floats whole = round(mul(bounded, set1(1.44269504F)));
  Floats part = fnmadd(whole, set1(0.693359375F), bounded);
  part = fnmadd(whole, set1(-2.12194440e-4F), part);
  Floats value = set1(1.0F / 720);
  value = fmadd(value, part, set1(1.0F / 120));
  value = fmadd(value, part, set1(1.0F / 24));
  value = fmadd(value, part, set1(1.0F / 6));
  value = fmadd(value, part, set1(0.5F));
  value = fmadd(value, part, set1(1.0F));
  value = fmadd(value, part, set1(1.0F));
  return scale_by_power(value, whole);
}

/// 1 / x to a relative error of 2e-7.
inline Floats reciprocal(Floats x) {
  const Floats rough = rough_reciprocal(x);
  return mul(rough, fnmadd(x, rough, set1(2.0F)));
}

}  // namespace
}  // namespace softmoe::kernels
