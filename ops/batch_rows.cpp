#include "ops/batch_rows.h"

namespace softmoe {
namespace {

thread_local const BatchRows* current_rows = nullptr;

}  // namespace

BatchRows::BatchRows(int64_t first, int64_t count, int64_t total)
    : first_(first), count_(count), total_(total), outer_(current_rows) {
  TORCH_CHECK_VALUE(first >= 0 && count > 0 && first + count <= total, "BatchRows: images ", first,
                    " to ", first + count, " of ", total);
  current_rows = this;
}

BatchRows::~BatchRows() { current_rows = outer_; }

const BatchRows* BatchRows::current() { return current_rows; }

torch::Tensor draw_rows(torch::IntArrayRef sizes,
                        const std::function<torch::Tensor(torch::IntArrayRef)>& draw) {
  const auto* const rows = BatchRows::current();
  if (rows == nullptr) {
    return draw(sizes);
  }
  const int64_t images = rows->count() / sizes[0];  // of a row
  TORCH_CHECK_VALUE(images * sizes[0] == rows->count() && rows->total() % images == 0 &&
                        rows->first() % images == 0,
                    "draw_rows: ", sizes[0], " rows of ", rows->count(), " images");
  auto whole = sizes.vec();
  whole[0] = rows->total() / images;
  return draw(whole).narrow(0, rows->first() / images, sizes[0]);
}

torch::Tensor randn_rows(const torch::Tensor& x) {
  return BatchRows::current() == nullptr
             ? torch::randn_like(x)
             : draw_rows(x.sizes(), [&x](torch::IntArrayRef sizes) {
                 return torch::randn(sizes, x.options().requires_grad(false));
               });
}

torch::Tensor dropout_rows(const torch::Tensor& x, double rate, bool training) {
  if (BatchRows::current() == nullptr || !training || rate <= 0) {
    return torch::dropout(x, rate, training);
  }
  const double keep = 1.0 - rate;
  const auto mask = draw_rows(x.sizes(), [&](torch::IntArrayRef sizes) {
    return torch::empty(sizes, x.options().requires_grad(false)).bernoulli_(keep).div_(keep);
  });  // [batch, ...]
  return x * mask;
}

}  // namespace softmoe
