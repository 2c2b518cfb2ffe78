#pragma once
/// Runs a model over a data set, batch by batch: the loop of every evaluation.

#include <torch/types.h>

#include <functional>
#include <string>

#include "datasets/loader.h"
#include "parallel/world.h"

namespace softmoe {

/// Maps images [batch, channels, height, width] float32, on the device of the model, to [batch, n].
using Forward = std::function<torch::Tensor(const torch::Tensor& images)>;

/// How a model is run over a data set.
struct BatchLoopOptions {
  torch::Device device = torch::kCPU;
  torch::Dtype dtype = torch::kFloat32;     ///< autocast of the model
  std::string label = "Test";               ///< of the progress bar
  int64_t images = 0;                       ///< that the loop runs over, for the progress bar
  bool stop_there = false;                  ///< stop at the batch that completes `images`, not at
                                            ///< the end of the loader's epoch
  std::function<void()> before_batch = {};  ///< may throw, such as on Ctrl-C
  std::function<std::string()> note = {};   ///< shown behind the progress
  /// The processes that run the model together: all run it as often as the one with the most
  /// batches, those without a batch on `idle_images` [images, channels, height, width], whose
  /// outputs are dropped.
  World together = {};
  torch::Tensor idle_images = {};
  World world = {};  ///< the processes that share the data set; the loader gives this one its part
};

/// Starts epoch 0 of `loader` and gives each batch and the model's outputs [batch, n], on the
/// device, to `consume`; all in inference mode. Throws InputError if the loader gives no batch to
/// any process.
void for_each_output(const Forward& forward, Loader& loader, const BatchLoopOptions& options,
                     const std::function<void(const Batch&, const torch::Tensor&)>& consume);

}  // namespace softmoe
