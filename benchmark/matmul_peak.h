#pragma once
/// The peak of matrix products on this machine, which throughput is compared with.

#include <torch/types.h>

#include <cstdint>
#include <functional>

namespace softmoe {

/// A product of two matrices in memory.
using MatmulProduct = std::function<torch::Tensor()>;

/// The best GFLOP/s (2 x multiply-adds) of products of square matrices on `device`, found in about
/// `seconds`. `make` makes the product of two matrices [edge, edge], or returns null if there is
/// none. The first edge is 64; edges double as long as the next product is expected to fit into the
/// time, so that products of any speed can be measured.
double fastest_product(const std::function<MatmulProduct(int64_t edge)>& make,
                       const torch::Device& device, double seconds);

/// The best GFLOP/s of matrix products on `device` in `dtype`, a floating one or kInt8, in this
/// process with its threads: libtorch's matmul, and on a CPU also oneDNN's product with a weight
/// packed beforehand and that of the kernels of the level in use. Takes up to a second.
double measure_matmul_peak(const torch::Device& device, torch::Dtype dtype);

}  // namespace softmoe
