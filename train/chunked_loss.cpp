#include "train/chunked_loss.h"

#include <ATen/ops/cat.h>

#include <algorithm>
#include <vector>

#include "ops/recomputed.h"

namespace softmoe {
namespace {

constexpr int64_t kMaxLogits = int64_t{1} << 24;

/// The quotient, rounded up.
int64_t parts_of(int64_t whole, int64_t part) { return (whole + part - 1) / part; }

}  // namespace

int64_t loss_rows(const LossOptions& options, int64_t batch, int64_t classes) {
  if (options.loss_chunk > 0) {
    return std::min(options.loss_chunk, batch);
  }
  const int64_t chunks = std::min(batch, parts_of(batch * classes, kMaxLogits));
  return chunks <= 1 ? batch : parts_of(batch, chunks);
}

torch::Tensor chunked_losses(const LossOptions& options, const Head& head,
                             const torch::Tensor& features, const torch::Tensor& labels,
                             int64_t rows) {
  std::vector<torch::Tensor> parts;
  for (int64_t first = 0; first < features.size(0); first += rows) {
    const int64_t end = std::min(first + rows, features.size(0));
    const auto run = [options, head, own = labels.slice(0, first, end)](const torch::Tensor& x) {
      return classification_losses(options, head(x), own);  // [rows]
    };
    parts.push_back(recomputed(features.slice(0, first, end), /*state=*/{}, run));
  }
  return at::cat(parts);  // [batch]
}

}  // namespace softmoe
