#pragma once
/// Random numbers of a process that computes some images of a batch: those that the same images get
/// in a process that computes the whole batch.

#include <torch/types.h>

#include <cstdint>
#include <functional>

namespace softmoe {

/// While one exists, this thread computes the images [first, first + count) of a batch of `total`.
class BatchRows {
 public:
  BatchRows(int64_t first, int64_t count, int64_t total);
  ~BatchRows();
  BatchRows(const BatchRows&) = delete;
  BatchRows& operator=(const BatchRows&) = delete;

  int64_t first() const { return first_; }
  int64_t count() const { return count_; }
  int64_t total() const { return total_; }

  /// That of this thread; null: it computes whole batches.
  static const BatchRows* current();

 private:
  int64_t first_;
  int64_t count_;
  int64_t total_;
  const BatchRows* outer_;
};

/// A tensor of `sizes` that `draw` makes for sizes that it gets. Axis 0 is that of images, or of
/// groups of equally many images; with a BatchRows, `draw` makes the rows of the whole batch, of
/// which those of its images are given back.
torch::Tensor draw_rows(torch::IntArrayRef sizes,
                        const std::function<torch::Tensor(torch::IntArrayRef)>& draw);

/// Standard normal numbers in the shape and dtype of `x` [batch, ...], as draw_rows() gives them.
torch::Tensor randn_rows(const torch::Tensor& x);

/// torch::dropout of `x` [batch, ...] with draw_rows().
torch::Tensor dropout_rows(const torch::Tensor& x, double rate, bool training);

}  // namespace softmoe
