#pragma once
/// What all engines have in common, of images or of texts.

#include <torch/types.h>

#include <cstdint>

#include "core/precision.h"

namespace softmoe {

/// Computes in a precision on a device. Calls may come from any thread, under InferenceMode.
class Engine {
 public:
  Engine(Precision precision, const torch::Device& device)
      : precision_(precision), device_(device) {}
  virtual ~Engine() = default;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// Bytes of packed weights; 0 if modules compute.
  virtual int64_t weight_bytes() const { return 0; }

  Precision precision() const { return precision_; }
  const torch::Device& device() const { return device_; }

 private:
  Precision precision_;
  torch::Device device_;
};

}  // namespace softmoe
