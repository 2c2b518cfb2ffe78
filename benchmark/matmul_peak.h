#pragma once
/// The peak of matrix products on this machine, which throughput is compared with.

#include <torch/types.h>

namespace softmoe {

/// The best GFLOP/s (2 x multiply-adds) of several large square matrix products on `device` in
/// `dtype`, a floating one or kInt8, in this process with its threads: libtorch's matmul, and on a
/// CPU also oneDNN's product with a weight packed beforehand, which some processors need for their
/// peak. Takes some seconds.
double measure_matmul_peak(const torch::Device& device, torch::Dtype dtype);

}  // namespace softmoe
