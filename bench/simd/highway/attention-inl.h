// The attention of kernels.h with highway's vectors. Included once per target, so the guard
// toggles.
#if defined(SOFTMOE_HIGHWAY_ATTENTION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SOFTMOE_HIGHWAY_ATTENTION_INL_H_
#undef SOFTMOE_HIGHWAY_ATTENTION_INL_H_
#else
#define SOFTMOE_HIGHWAY_ATTENTION_INL_H_
#endif

#include "bench/simd/highway/gemm-inl.h"

HWY_BEFORE_NAMESPACE();
namespace softmoe::simd::HWY_NAMESPACE {

/// e^x for x <= 0 to a relative error of 2e-7; below -87 it is e^-87, about 1e-38.
HWY_INLINE Floats exp_of_negative(Floats x) {
  // Adding 1.5 * 2^23 rounds to an integer, which then is in the lowest bits.
  const Tag tag;
  const hn::RebindToUnsigned<Tag> bits;
  const Floats shift = hn::Set(tag, 12582912.0F);
  const Floats bounded = hn::Max(x, hn::Set(tag, -87.0F));
  const Floats shifted = hn::MulAdd(bounded, hn::Set(tag, 1.44269504F), shift);
  const Floats whole = hn::Sub(shifted, shift);
  Floats part = hn::MulAdd(whole, hn::Set(tag, -0.693359375F), bounded);
  part = hn::MulAdd(whole, hn::Set(tag, 2.12194440e-4F), part);
  Floats value = hn::Set(tag, 1.0F / 720);
  value = hn::MulAdd(value, part, hn::Set(tag, 1.0F / 120));
  value = hn::MulAdd(value, part, hn::Set(tag, 1.0F / 24));
  value = hn::MulAdd(value, part, hn::Set(tag, 1.0F / 6));
  value = hn::MulAdd(value, part, hn::Set(tag, 0.5F));
  value = hn::MulAdd(value, part, hn::Set(tag, 1.0F));
  value = hn::MulAdd(value, part, hn::Set(tag, 1.0F));
  const auto exponent =
      hn::Add(hn::ShiftLeft<23>(hn::BitCast(bits, shifted)), hn::Set(bits, 0x3F800000U));
  return hn::Mul(value, hn::BitCast(tag, exponent));
}

/// panels [padded tokens / 32, head_dim, 32] = k transposed; columns past the last token are zero.
inline void pack_keys(const Head& head, float* panels) {
  for (int64_t token = 0; token < padded_tokens(head.tokens); ++token) {
    float* column =
        panels + token / kPanelColumns * kPanelColumns * head.head_dim + token % kPanelColumns;
    const float* key = head.k + token * head.stride;
    for (int64_t index = 0; index < head.head_dim; ++index) {
      column[index * kPanelColumns] = token < head.tokens ? key[index] : 0.0F;
    }
  }
}

/// Replaces scores s [padded tokens] by exp((s - max) scale) and returns 1 / their sum.
inline float exponentiate(float* scores, int64_t tokens, float scale) {
  const Tag tag;
  const int64_t padded = padded_tokens(tokens);
  for (int64_t token = tokens; token < padded; ++token) {
    scores[token] = -1e30F;
  }
  Floats highest = hn::LoadU(tag, scores);
  for (int64_t token = kLanes; token < padded; token += kLanes) {
    highest = hn::Max(highest, hn::LoadU(tag, scores + token));
  }
  const Floats factor = hn::Set(tag, scale);
  const Floats offset = hn::Set(tag, -scale * hn::GetLane(hn::MaxOfLanes(tag, highest)));
  Floats sum = hn::Zero(tag);
  for (int64_t token = 0; token < padded; token += kLanes) {
    const Floats weight =
        exp_of_negative(hn::MulAdd(hn::LoadU(tag, scores + token), factor, offset));
    hn::StoreU(weight, tag, scores + token);
    sum = hn::Add(sum, weight);
  }
  return 1.0F / hn::GetLane(hn::SumOfLanes(tag, sum));
}

template <int kRows, int kVectors>
void attention(const Head& head) {
  const Tag tag;
  const int64_t padded = padded_tokens(head.tokens);
  float* keys = head.scratch;
  float* scores = keys + padded * head.head_dim;
  pack_keys(head, keys);
  const float scale = 1.0F / __builtin_sqrtf(static_cast<float>(head.head_dim));
  const RightFactor values{head.v, kPanelColumns, kPanelColumns, head.stride};
  for (int64_t first = 0; first < head.tokens; first += kScoreRows) {
    const int64_t rows = first + kScoreRows < head.tokens ? kScoreRows : head.tokens - first;
    float* out = head.out + first * head.stride;
    multiply<kRows, kVectors>(rows, head.head_dim, padded, head.q + first * head.stride,
                              head.stride, packed_factor(keys, head.head_dim), scores, padded);
    float inverse[kScoreRows];
    for (int64_t row = 0; row < rows; ++row) {
      inverse[row] = exponentiate(scores + row * padded, head.tokens, scale);
    }
    multiply<kRows, kVectors>(rows, head.tokens, head.head_dim, scores, padded, values, out,
                              head.stride);
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t index = 0; index < head.head_dim; index += kLanes) {
        float* part = out + row * head.stride + index;
        hn::StoreU(hn::Mul(hn::LoadU(tag, part), hn::Set(tag, inverse[row])), tag, part);
      }
    }
  }
}

}  // namespace softmoe::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
