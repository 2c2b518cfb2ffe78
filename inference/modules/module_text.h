#pragma once
/// Text towers by the modules of vit/, on every device that libtorch drives.

#include <mutex>

#include "core/named_tensors.h"
#include "inference/text_engine.h"
#include "vit/text_tower.h"

namespace softmoe {

/// Runs a text tower through its module, in kFloat32, or in kBFloat16 under autocast.
class ModuleText final : public TextEngine {
 public:
  /// A tower of `weights` on `device`, called `where` in errors. Throws UsageError for other
  /// precisions than kFloat32 and kBFloat16, InputError for weights that do not fit.
  ModuleText(const TextOptions& options, const NamedTensors& weights, const std::string& where,
             Precision precision, const torch::Device& device);

  const TextOptions& options() const override { return tower_->options(); }
  torch::Tensor embed(const torch::Tensor& ids, const torch::Tensor& lengths) override;

 private:
  TextTower tower_;
  std::mutex mutex_;
};

}  // namespace softmoe
