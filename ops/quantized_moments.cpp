#include "ops/quantized_moments.h"

#include <ATen/ops/bucketize.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace softmoe {
namespace {

constexpr int64_t kDecades = 7;

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

}  // namespace

MomentCode::MomentCode(bool has_sign, bool keeps_above_zero) {
  const auto numbers = dynamic_numbers(has_sign);
  TORCH_INTERNAL_ASSERT(numbers.size() == numbers_.size());
  std::copy(numbers.begin(), numbers.end(), numbers_.begin());
  for (size_t i = 0; i < bounds_.size(); ++i) {
    bounds_[i] = keeps_above_zero && i == 0 ? 0.0F : 0.5F * (numbers_[i] + numbers_[i + 1]);
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
