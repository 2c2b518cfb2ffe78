#pragma once
/// k-means in exact integer arithmetic: the same centers on every machine and number of threads.

#include <torch/types.h>

#include <cstdint>
#include <vector>

namespace softmoe {

struct KMeansOptions {
  int64_t clusters = 0;
  int64_t iterations = 25;  ///< maximum
  uint64_t seed = 0;

  bool operator==(const KMeansOptions&) const = default;
};

struct KMeans {
  torch::Tensor centers;         ///< [clusters, dim] fp64, integers
  torch::Tensor labels;          ///< [count] int64: the nearest center of each point
  std::vector<int64_t> inertia;  ///< sum of squared distances at the start and after each iteration
};

/// Clusters `points` [count, dim]: integers of at most 2^16 in size, as fp64 on the CPU, with
/// count * dim at most 2^29. Starts by k-means++ (Arthur and Vassilvitskii, SODA 2007), goes on by
/// Lloyd's algorithm with means rounded to integers until the inertia falls no more. A cluster that
/// loses its points is moved to the point farthest from its center. With fewer distinct points
/// than clusters some centers coincide, and the later ones have no points.
KMeans kmeans(const torch::Tensor& points, const KMeansOptions& options);

/// The nearest center of each point, [count] int64; of equals the first. `points` [count, dim] and
/// `centers` [clusters, dim] hold integers of at most 2^16 in size, on any device.
torch::Tensor nearest_centers(const torch::Tensor& points, const torch::Tensor& centers);

}  // namespace softmoe
