#pragma once
/// The models that a benchmark of throughput measures.

#include <torch/types.h>

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/enum_names.h"
#include "core/precision.h"

namespace softmoe {

/// The part that is timed: inference, or whole training steps (forward, backward, optimizer).
enum class ThroughputMode { kInfer, kTrain, kBoth };
template <>
inline constexpr std::array<EnumName<ThroughputMode>, 3> kEnumNames<ThroughputMode>{
    {{ThroughputMode::kInfer, "infer"},
     {ThroughputMode::kTrain, "train"},
     {ThroughputMode::kBoth, "both"}}};

/// How many times the operations of a forward pass a run in `mode`, kInfer or kTrain, takes.
inline constexpr double passes_of(ThroughputMode mode) {
  return mode == ThroughputMode::kTrain ? 3 : 1;
}

/// A model in memory. It is freed with its last copy.
struct RunningModel {
  /// Outputs [batch, outputs] of images [batch, channels, height, width] in the dtype of tensors.
  std::function<torch::Tensor(const torch::Tensor& images)> infer{};
  /// One update from float32 images and labels [batch] int64; gives the loss [].
  std::function<torch::Tensor(const torch::Tensor& images, const torch::Tensor& labels)> train{};
};

/// A model that can be made when its turn comes. Inference takes weights and images in
/// tensor_dtype() of its precision, training float32 weights under autocast.
struct ThroughputSubject {
  std::string name{};
  std::vector<int64_t> image_shape{};  ///< channels, height, width
  int64_t outputs = 0;                 ///< outputs per image
  int64_t parameters = 0;
  double gflop = 0;  ///< of one image forward
  /// `mode` is kInfer or kTrain: the function of that name must be there.
  std::function<RunningModel(ThroughputMode mode, Precision precision, const torch::Device& device)>
      make{};
};

/// Bytes that a model's weights take, in training with gradients and two moments in float32.
int64_t weight_bytes(const ThroughputSubject& subject, ThroughputMode mode, Precision precision);

}  // namespace softmoe
