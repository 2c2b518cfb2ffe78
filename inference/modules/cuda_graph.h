#pragma once
/// Recorded passes on CUDA; compiled if the build has CUDA.

#include "inference/modules/graph_runner.h"

namespace softmoe {

/// A CUDA graph; MakeDeviceGraph for CUDA.
std::unique_ptr<DeviceGraph> make_cuda_graph(DeviceGraph* sibling);

}  // namespace softmoe
