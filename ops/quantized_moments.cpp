#include "ops/quantized_moments.h"

#include <ATen/ops/bucketize.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace softmoe {
namespace {

constexpr int64_t kDecades = 7;
constexpr uint32_t kUpperBits = 1U << 16;

/// The numbers of the paper's dynamic tree: in the decade up to 10^-k, the middles of equal
/// intervals, of which there are half as many in each lower decade; 0; and 1.
std::vector<float> dynamic_numbers(bool has_sign) {
  std::vector<float> numbers{0.0F, 1.0F};
  for (int64_t decade = 0; decade < kDecades; ++decade) {
    const auto intervals = int64_t{1} << (has_sign ? decade : decade + 1);
    const double top = std::pow(10.0, static_cast<double>(decade - (kDecades - 1)));
    for (int64_t i = 0; i < intervals; ++i) {
      const double middle =
          0.1 + 0.9 * (static_cast<double>(i) + 0.5) / static_cast<double>(intervals);
      numbers.push_back(static_cast<float>(top * middle));
      if (has_sign) {
        numbers.push_back(static_cast<float>(-top * middle));
      }
    }
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

/// The largest magnitude of `count` values.
float largest(const float* values, int64_t count) {
  float result = 0.0F;
  for (int64_t i = 0; i < count; ++i) {
    result = std::max(result, std::abs(values[i]));
  }
  return result;
}

}  // namespace

MomentCode::MomentCode(bool has_sign, bool keeps_above_zero)
    : below_(kUpperBits, 255), inner_(kUpperBits, std::numeric_limits<float>::infinity()) {
  const auto numbers = dynamic_numbers(has_sign);
  TORCH_INTERNAL_ASSERT(numbers.size() == numbers_.size());
  std::copy(numbers.begin(), numbers.end(), numbers_.begin());
  for (size_t i = 0; i < bounds_.size(); ++i) {
    bounds_[i] = keeps_above_zero && i == 0 ? 0.0F : 0.5F * (numbers_[i] + numbers_[i + 1]);
  }
  for (uint32_t upper = 0; upper < kUpperBits; ++upper) {
    const auto first = std::bit_cast<float>(upper << 16);
    const auto last = std::bit_cast<float>((upper << 16) | 0xFFFFU);
    if (!(std::abs(last) < 2.0F)) {
      continue;  // no quotient, which is at most 1
    }
    const auto [low, high] = std::minmax(first, last);
    const auto* begin = std::lower_bound(bounds_.begin(), bounds_.end(), low);
    const auto* end = std::lower_bound(bounds_.begin(), bounds_.end(), high);
    TORCH_INTERNAL_ASSERT(end - begin <= 1, "two bounds between neighbouring values");
    below_[upper] = static_cast<uint8_t>(begin - bounds_.begin());
    if (begin != end) {
      inner_[upper] = *begin;
    }
  }
}

const MomentCode& MomentCode::of_means() {
  static const MomentCode code(/*has_sign=*/true, /*keeps_above_zero=*/false);
  return code;
}

const MomentCode& MomentCode::of_squares() {
  static const MomentCode code(/*has_sign=*/false, /*keeps_above_zero=*/true);
  return code;
}

void MomentCode::decode(const uint8_t* codes, float scale, int64_t count, float* values) const {
  for (int64_t i = 0; i < count; ++i) {
    values[i] = numbers_[codes[i]] * scale;
  }
}

float MomentCode::encode(const float* values, int64_t count, uint8_t* codes) const {
  const float scale = largest(values, count);
  if (scale == 0.0F) {
    std::fill(codes, codes + count, uint8_t{0});
    return scale;
  }
  for (int64_t i = 0; i < count; ++i) {
    const float quotient = values[i] / scale;
    const auto upper = std::bit_cast<uint32_t>(quotient) >> 16;
    codes[i] = static_cast<uint8_t>(below_[upper] + (quotient > inner_[upper] ? 1 : 0));
  }
  return scale;
}

torch::Tensor MomentCode::decoded(const torch::Tensor& codes, const torch::Tensor& scales) const {
  const auto numbers = at::tensor(at::ArrayRef<float>(numbers_)).to(codes.device());  // [256]
  const auto values = numbers.index_select(0, codes.flatten().to(torch::kInt64));     // [numel]
  return values * scales.repeat_interleave(kMomentBlock).slice(0, 0, values.numel());
}

void MomentCode::encode(const torch::Tensor& values, const torch::Tensor& codes,
                        const torch::Tensor& scales) const {
  const auto bounds = at::tensor(at::ArrayRef<float>(bounds_)).to(values.device());  // [255]
  const int64_t padding = scales.numel() * kMomentBlock - values.numel();
  const auto blocks =
      at::constant_pad_nd(values, {0, padding}).view({-1, kMomentBlock});  // [blocks, block]
  const auto largest = blocks.abs().amax(1);                               // [blocks]
  const auto found = at::bucketize(blocks / largest.unsqueeze(1), bounds,
                                   /*out_int32=*/true);  // [blocks, block]
  const auto kept = at::where(largest.unsqueeze(1) > 0, found, 0);
  codes.copy_(kept.flatten().slice(0, 0, values.numel()).view(codes.sizes()));
  scales.copy_(largest);
}

}  // namespace softmoe
