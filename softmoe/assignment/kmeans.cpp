#include "softmoe/assignment/kmeans.h"

#include <limits>

#include "core/rng.h"
#include "core/tensor_check.h"

namespace softmoe {
namespace {

constexpr int64_t kDistanceRows = 8192;

/// Squared distances to `centers` less the squared length of the point, [count, clusters].
torch::Tensor scores(const torch::Tensor& points, const torch::Tensor& centers) {
  const auto lengths = centers.square().sum(1);  // [clusters]
  return torch::addmm(lengths.unsqueeze(0), points, centers.t(), /*beta=*/1, /*alpha=*/-2);
}

struct Assignment {
  torch::Tensor labels;     // [count]
  torch::Tensor distances;  // [count] int64, squared
  int64_t inertia = 0;
};

Assignment assign(const torch::Tensor& points, const torch::Tensor& centers) {
  std::vector<torch::Tensor> labels;
  std::vector<torch::Tensor> distances;
  for (const auto& chunk : points.split(kDistanceRows)) {
    const auto [score, label] = scores(chunk, centers).min(1);
    labels.push_back(label);
    distances.push_back((score + chunk.square().sum(1)).to(torch::kInt64));
  }
  Assignment result{.labels = torch::cat(labels), .distances = torch::cat(distances)};
  result.inertia = result.distances.sum().item<int64_t>();
  return result;
}

/// Points as far apart as k-means++ draws them, [clusters, dim].
torch::Tensor first_centers(const torch::Tensor& points, int64_t clusters, Rng& rng) {
  const int64_t count = points.size(0);
  const auto lengths = points.square().sum(1);  // [count]
  auto nearest = torch::full({count}, std::numeric_limits<int64_t>::max(), torch::kInt64);
  std::vector<torch::Tensor> centers;
  int64_t chosen = rng.below(count);
  while (true) {
    const auto center = points[chosen];  // [dim]
    centers.push_back(center);
    if (static_cast<int64_t>(centers.size()) == clusters) {
      return torch::stack(centers);
    }
    const auto distance =
        (lengths - 2 * points.mv(center) + lengths[chosen]).to(torch::kInt64);  // [count]
    nearest = torch::minimum(nearest, distance);
    const auto sums = nearest.cumsum(0);  // [count]
    const int64_t total = sums[count - 1].item<int64_t>();
    // Without any distance left every point has its center already.
    const auto target = torch::tensor(total > 0 ? rng.below(total) : 0, torch::kInt64);
    chosen =
        total > 0
            ? torch::searchsorted(sums, target, /*out_int32=*/false, /*right=*/true).item<int64_t>()
            : rng.below(count);
  }
}

/// The integer means of the clusters; empty ones go to the farthest points.
torch::Tensor moved_centers(const torch::Tensor& points, const Assignment& assignment,
                            const torch::Tensor& centers) {
  const auto sizes = torch::bincount(assignment.labels, {}, centers.size(0));  // [clusters]
  const auto sums = torch::zeros_like(centers).index_add_(0, assignment.labels, points);
  auto moved = (sums / sizes.clamp_min(1).unsqueeze(1)).round();  // [clusters, dim]
  const auto empty = (sizes == 0).nonzero().squeeze(1);           // [empty clusters]
  const int64_t replaced = std::min(empty.size(0), points.size(0));
  if (replaced > 0) {
    const auto farthest = assignment.distances.argsort(/*stable=*/true, 0, /*descending=*/true)
                              .narrow(0, 0, replaced);
    moved.index_copy_(0, empty.narrow(0, 0, replaced), points.index_select(0, farthest));
  }
  return moved;
}

}  // namespace

KMeans kmeans(const torch::Tensor& points, const KMeansOptions& options) {
  check_shape("kmeans: points", points, {-1, -1});
  TORCH_CHECK_VALUE(options.clusters > 0 && points.size(0) > 0,
                    "kmeans: clusters and points must be positive, found ", options.clusters,
                    " and ", points.size(0));
  TORCH_CHECK_VALUE(points.scalar_type() == torch::kFloat64 && points.equal(points.round()),
                    "kmeans: points must be integers as fp64, found ", points.scalar_type());
  const torch::NoGradGuard no_grad;
  Rng rng(options.seed);
  KMeans result;
  result.centers = first_centers(points, options.clusters, rng);  // [clusters, dim]
  auto assignment = assign(points, result.centers);
  result.inertia.push_back(assignment.inertia);
  for (int64_t iteration = 0; iteration < options.iterations; ++iteration) {
    const auto centers = moved_centers(points, assignment, result.centers);
    const auto next = assign(points, centers);
    if (next.inertia >= assignment.inertia) {
      break;
    }
    result.centers = centers;
    assignment = next;
    result.inertia.push_back(next.inertia);
  }
  result.labels = assignment.labels;
  return result;
}

torch::Tensor nearest_centers(const torch::Tensor& points, const torch::Tensor& centers) {
  check_shape("nearest_centers: points", points, {-1, centers.size(1)});
  std::vector<torch::Tensor> labels;
  for (const auto& chunk : points.split(kDistanceRows)) {
    labels.push_back(scores(chunk, centers).argmin(1));
  }
  return torch::cat(labels);  // [count]
}

}  // namespace softmoe
