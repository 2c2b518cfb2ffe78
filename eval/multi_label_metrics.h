#pragma once
/// Mean average precision and loss of a classifier on a multi-label set, gathered batch by batch.

#include <torch/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "eval/metrics.h"
#include "parallel/world.h"

namespace softmoe {

/// Gathers a ClassificationResult of images with any number of labels. All logits are kept, since
/// average precision is made of their order over the whole set.
class MultiLabelMetrics {
 public:
  explicit MultiLabelMetrics(int64_t num_classes) : num_classes_(num_classes) {}

  /// Adds a batch: `logits` [batch, classes] of any float dtype and device, `labels` [batch, own
  /// classes] of 0 and 1. A classifier may have more classes than the data: these are no label.
  void add(const torch::Tensor& logits, const torch::Tensor& labels);

  /// "loss 1.2345  Acc@1 71.100  Acc@5 90.500" of what was added so far; empty if nothing was.
  std::string note() const;

  /// Adds what the other processes of `world` have added.
  void join(const World& world);

  /// With average_precision, loss, and as top-1 and top-5 the share of the images with labels of
  /// which the first, or one of the first five, predictions is one of their labels. Throws
  /// InputError if nothing was added or a logit was NaN or infinite.
  ClassificationResult result() const;

 private:
  double share(double sum) const;

  int64_t num_classes_;
  int64_t examples_ = 0;
  double labelled_ = 0;  // images with labels
  double top1_ = 0;      // sums over images
  double top5_ = 0;
  double loss_ = 0;
  int64_t bad_ = 0;                     // images with bad logits
  std::vector<torch::Tensor> scores_;   // [batch, classes] float32
  std::vector<torch::Tensor> present_;  // [batch, classes] bool
};

}  // namespace softmoe
