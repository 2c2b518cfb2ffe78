#include "softmoe/assignment/kmeans.h"

#include <set>

#include "runtime/device.h"
#include "support/tensor_matcher.h"

namespace softmoe::kmeans_test {

using test::same_bits;

/// `per_blob` points around each of `blobs` corners that are far apart, shuffled; integers.
torch::Tensor separated_blobs(int64_t blobs, int64_t per_blob, int64_t dim) {
  torch::manual_seed(11);
  std::vector<torch::Tensor> parts;
  for (int64_t blob = 0; blob < blobs; ++blob) {
    auto corner = torch::zeros({dim}, torch::kFloat64);
    corner[blob % dim] = 20000.0 * static_cast<double>(1 + blob / dim);
    parts.push_back(corner + 300 * torch::randn({per_blob, dim}, torch::kFloat64));
  }
  return torch::cat(parts).index_select(0, torch::randperm(blobs * per_blob)).round();
}

torch::Tensor cloud(int64_t count, int64_t dim) {
  torch::manual_seed(12);
  return (2000 * torch::randn({count, dim}, torch::kFloat64)).round();
}

/// Sum of squared distances to the centers, by the plain definition.
double plain_inertia(const torch::Tensor& points, const KMeans& result) {
  return (points - result.centers.index_select(0, result.labels)).square().sum().item<double>();
}

TEST(KMeans, FindsSeparatedClusters) {
  const auto points = separated_blobs(9, 40, 4);
  const auto result = kmeans(points, {.clusters = 9, .seed = 1});
  EXPECT_TRUE(same_bits(torch::bincount(result.labels), torch::full({9}, 40, torch::kInt64)));
  EXPECT_LT(static_cast<double>(result.inertia.back()), 9 * 40 * 4 * 300.0 * 300.0 * 1.2);
}

TEST(KMeans, InertiaFallsAndIsWhatTheCentersGive) {
  const auto points = cloud(900, 7);
  const auto result = kmeans(points, {.clusters = 20, .iterations = 60, .seed = 2});
  ASSERT_GE(result.inertia.size(), 3U);
  for (size_t i = 1; i < result.inertia.size(); ++i) {
    EXPECT_LT(result.inertia[i], result.inertia[i - 1]) << i;
  }
  EXPECT_EQ(plain_inertia(points, result), static_cast<double>(result.inertia.back()));
}

TEST(KMeans, EndsWhereEveryCenterIsTheMeanOfItsPoints) {
  const auto points = cloud(300, 3);
  const auto result = kmeans(points, {.clusters = 6, .iterations = 1000, .seed = 3});
  for (int64_t cluster = 0; cluster < 6; ++cluster) {
    const auto members = points.index({result.labels == cluster});
    ASSERT_GT(members.size(0), 0);
    EXPECT_TRUE(same_bits(members.mean(0).round(), result.centers[cluster])) << cluster;
  }
  EXPECT_TRUE(same_bits(nearest_centers(points, result.centers), result.labels));
}

TEST(KMeans, NoPointIsNearerToAnotherCenter) {
  const auto points = cloud(200, 5);
  const auto result = kmeans(points, {.clusters = 13, .iterations = 4, .seed = 4});
  const auto distance =
      (points.unsqueeze(1) - result.centers.unsqueeze(0)).square().sum(-1);  // [count, clusters]
  EXPECT_TRUE(same_bits(distance.argmin(1), result.labels));
}

TEST(KMeans, IsTheSameForASeedAndAnyNumberOfThreads) {
  const auto points = cloud(700, 33);
  const int threads = torch::get_num_threads();
  torch::set_num_threads(1);
  const auto one = kmeans(points, {.clusters = 17, .seed = 5});
  torch::set_num_threads(2);
  const auto two = kmeans(points, {.clusters = 17, .seed = 5});
  const auto other = kmeans(points, {.clusters = 17, .seed = 6});
  torch::set_num_threads(threads);
  EXPECT_TRUE(same_bits(one.centers, two.centers));
  EXPECT_EQ(one.inertia, two.inertia);
  EXPECT_FALSE(one.centers.equal(other.centers));
}

TEST(KMeans, FewDistinctPointsGiveCentersThatCoincide) {
  const auto distinct = torch::tensor({{5.0, 1.0}, {-7.0, 2.0}, {0.0, 9.0}}, torch::kFloat64);
  const auto points = distinct.repeat({10, 1});
  const auto result = kmeans(points, {.clusters = 8, .seed = 7});
  EXPECT_EQ(result.inertia.back(), 0);
  EXPECT_EQ(result.centers.size(0), 8);
  EXPECT_TRUE(same_bits(result.centers.index_select(0, result.labels), points));
  const auto labels = result.labels.contiguous();
  const auto* first = labels.const_data_ptr<int64_t>();
  EXPECT_EQ(std::set<int64_t>(first, first + labels.size(0)).size(), 3U);
}

TEST(KMeans, FewerPointsThanClustersKeepEachPoint) {
  const auto points = cloud(3, 4);
  const auto result = kmeans(points, {.clusters = 5, .seed = 8});
  EXPECT_EQ(result.inertia.back(), 0);
  EXPECT_TRUE(same_bits(result.centers.index_select(0, result.labels), points));
}

TEST(KMeans, LeavesNoClusterEmptyWherePointsAreLeft) {
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const auto points = separated_blobs(3, 30, 2);
    const auto result = kmeans(points, {.clusters = 24, .iterations = 100, .seed = seed});
    EXPECT_GT(torch::bincount(result.labels, {}, 24).min().item<int64_t>(), 0) << seed;
  }
}

TEST(KMeans, NearestCentersAreTheSameOnEveryDeviceAndForAnyBatch) {
  const auto points = cloud(9001, 6);
  const auto centers = cloud(31, 6);
  const auto expected = nearest_centers(points, centers);
  for (const auto& device : present_devices()) {
    EXPECT_TRUE(same_bits(nearest_centers(points.to(device), centers.to(device)).cpu(), expected));
  }
  EXPECT_TRUE(
      same_bits(nearest_centers(points.narrow(0, 77, 1), centers), expected.narrow(0, 77, 1)));
}

TEST(KMeans, OfEqualCentersTheFirstIsNearest) {
  const auto center = torch::tensor({{3.0, 4.0}}, torch::kFloat64);
  const auto others = torch::tensor({{300.0, 400.0}}, torch::kFloat64);
  const auto centers = torch::cat({others, center, center, center});
  EXPECT_EQ(nearest_centers(center, centers).item<int64_t>(), 1);
}

TEST(KMeans, RefusesWhatItCannotCountExactly) {
  EXPECT_THROW(kmeans(torch::full({4, 2}, 0.5, torch::kFloat64), {.clusters = 2}), c10::ValueError);
  EXPECT_THROW(kmeans(torch::ones({4, 2}), {.clusters = 2}), c10::ValueError);
  EXPECT_THROW(kmeans(cloud(4, 2), {.clusters = 0}), c10::ValueError);
  EXPECT_THROW(kmeans(torch::zeros({0, 2}, torch::kFloat64), {.clusters = 2}), c10::ValueError);
}

}  // namespace softmoe::kmeans_test
