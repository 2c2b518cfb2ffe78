#include "softmoe/assignment/top_indices.h"

#include <ATen/Parallel.h>

#include "softmoe/assignment/ranking.h"

namespace softmoe {
namespace {

template <typename Score>
void top_of_rows(const torch::Tensor& scores, int64_t count, torch::Tensor& indices) {
  const int64_t size = scores.size(-1);
  const auto* rows = scores.const_data_ptr<Score>();
  auto* output = indices.data_ptr<int64_t>();
  constexpr int64_t kScoresOfATask = 1 << 15;
  at::parallel_for(0, scores.numel() / size, std::max<int64_t>(1, kScoresOfATask / size),
                   [&](int64_t begin, int64_t end) {
                     std::vector<Candidate<Score>> best(static_cast<size_t>(count));
                     for (int64_t row = begin; row < end; ++row) {
                       rank_row<Score>(std::span(rows + row * size, static_cast<size_t>(size)),
                                       best);
                       std::transform(best.begin(), best.end(), output + row * count,
                                      [](const auto& candidate) { return candidate.index; });
                     }
                   });
}

}  // namespace

torch::Tensor top_indices(const torch::Tensor& scores, int64_t count) {
  const torch::NoGradGuard no_grad;
  TORCH_CHECK_VALUE(scores.dim() > 0 && count >= 1 && count <= scores.size(-1),
                    "top_indices: ", count, " of rows of scores ", scores.sizes());
  if (!scores.is_cpu()) {
    return std::get<1>(scores.sort(/*stable=*/true, /*dim=*/-1, /*descending=*/true))
        .narrow(-1, 0, count)
        .contiguous();  // [..., count]
  }
  const auto dtype = scores.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
  const auto values = scores.detach().to(dtype).contiguous();  // [..., size]
  auto shape = scores.sizes().vec();
  shape.back() = count;
  auto indices = torch::empty(shape, scores.options().dtype(torch::kInt64));  // [..., count]
  if (dtype == torch::kFloat64) {
    top_of_rows<double>(values, count, indices);
  } else {
    top_of_rows<float>(values, count, indices);
  }
  return indices;
}

}  // namespace softmoe
