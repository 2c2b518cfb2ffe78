#pragma once
/// Sums gradients over the processes of a run while the backward pass is still under way.
///
/// Gradients go into buckets, in the reverse order of the parameters, which is about the order in
/// which the backward pass makes them. As soon as a bucket is full, its sum over the processes
/// begins. Source: Li et al., arXiv:2006.15704, section 3.2.

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "parallel/world.h"

namespace softmoe {

/// The gradients of some parameters in a world of more than one process.
class GradientReducer {
 public:
  /// Max bytes of a bucket, and of the first one, whose sum should begin early.
  static constexpr int64_t kBucketBytes = 25 << 20;
  static constexpr int64_t kFirstBucketBytes = 1 << 20;

  /// `parameters` are leaves that require gradients, the same in all processes; they must stay
  /// where they are in memory. Gradients travel and are summed as `payload`, by default as they
  /// are.
  GradientReducer(World world, const std::vector<torch::Tensor>& parameters,
                  std::optional<torch::Dtype> payload = std::nullopt);
  ~GradientReducer();
  GradientReducer(const GradientReducer&) = delete;
  GradientReducer& operator=(const GradientReducer&) = delete;

  /// To be called before the last backward pass of an update: its gradients, with what earlier
  /// passes have added to them, are multiplied by `weight` and summed over the processes.
  void begin(double weight);

  /// To be called after that pass: waits until each parameter's gradient is the sum, and makes
  /// `numbers` their sums, too, which are not multiplied. A parameter without a gradient counts as
  /// 0; one that has none in any process gets none.
  void finish(std::vector<double>& numbers);

 private:
  struct Bucket;
  struct Hook;

  void take(size_t number, size_t place);
  void copy_gradient(Bucket& bucket, size_t place) const;
  void send_full();
  void send(Bucket& bucket);

  World world_;
  std::vector<std::unique_ptr<Bucket>> buckets_;
  std::vector<std::unique_ptr<Hook>> hooks_;
  double weight_ = 1.0;
  bool is_active_ = false;
  size_t next_ = 0;  // bucket to be sent
};

}  // namespace softmoe
