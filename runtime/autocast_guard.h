#pragma once
/// Autocast for the life of an object.

#include <torch/types.h>

namespace softmoe {

/// Autocast of `device` to `dtype` for the life of the object; float32 switches it off.
class AutocastGuard {
 public:
  AutocastGuard(const torch::Device& device, torch::Dtype dtype);
  ~AutocastGuard();
  AutocastGuard(const AutocastGuard&) = delete;
  AutocastGuard& operator=(const AutocastGuard&) = delete;

 private:
  torch::DeviceType type_;
  bool was_enabled_;
  torch::Dtype previous_dtype_;
};

}  // namespace softmoe
