#include "datasets/sampling.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace softmoe {
namespace {

/// Classes of 100, 25, 0 and 5 images, mixed.
std::vector<int64_t> long_tail() {
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < 100; ++i) {
    labels.push_back(0);
    if (i % 4 == 0) {
      labels.push_back(1);
    }
    if (i % 20 == 0) {
      labels.push_back(3);
    }
  }
  return labels;
}

/// Places of each class in an order.
std::map<int64_t, int64_t> class_counts(const std::vector<SampledImage>& order) {
  const auto labels = long_tail();
  std::map<int64_t, int64_t> counts;
  for (const auto& image : order) {
    ++counts[labels[static_cast<size_t>(image.index)]];
  }
  return counts;
}

/// How often each image comes, by index.
std::map<int64_t, int64_t> image_counts(const std::vector<SampledImage>& order) {
  std::map<int64_t, int64_t> counts;
  for (const auto& image : order) {
    ++counts[image.index];
  }
  return counts;
}

struct Share {
  Sampling sampling;
  double power;
};

void PrintTo(const Share& share, std::ostream* out) { *out << enum_name(share.sampling); }

class SamplingOf : public testing::TestWithParam<Share> {};

TEST_P(SamplingOf, GivesClassesTheirShares) {
  const auto labels = long_tail();
  const ClassSampler sampler(labels, GetParam().sampling, 7);
  const std::map<int64_t, double> sizes{{0, 100.0}, {1, 25.0}, {3, 5.0}};
  double sum = 0.0;
  for (const auto& [label, images] : sizes) {
    sum += std::pow(images, GetParam().power);
  }
  std::map<int64_t, double> means;
  constexpr int64_t kEpochs = 300;
  for (int64_t epoch = 0; epoch < kEpochs; ++epoch) {
    const auto order = sampler.order(epoch);
    ASSERT_EQ(order.size(), labels.size());
    for (const auto& [label, count] : class_counts(order)) {
      const double expected =
          std::pow(sizes.at(label), GetParam().power) / sum * static_cast<double>(labels.size());
      EXPECT_LE(std::abs(static_cast<double>(count) - expected), 1.0);
      means[label] += (static_cast<double>(count) - expected) / kEpochs;
    }
  }
  for (const auto& [label, difference] : means) {
    EXPECT_NEAR(difference, 0.0, 0.1) << label;  // more than 3 standard errors
  }
}

TEST_P(SamplingOf, RepeatsAnImageOnlyAfterAllOfItsClass) {
  const auto labels = long_tail();
  const ClassSampler sampler(labels, GetParam().sampling, 7);
  for (int64_t epoch = 0; epoch < 20; ++epoch) {
    std::map<int64_t, std::pair<int64_t, int64_t>> extremes;  // by class: fewest, most
    const auto counts = image_counts(sampler.order(epoch));
    for (size_t index = 0; index < labels.size(); ++index) {
      const auto found = counts.find(static_cast<int64_t>(index));
      const int64_t count = found == counts.end() ? 0 : found->second;
      const auto [place, is_new] = extremes.try_emplace(labels[index], count, count);
      place->second = {std::min(place->second.first, count), std::max(place->second.second, count)};
    }
    for (const auto& [label, range] : extremes) {
      EXPECT_LE(range.second - range.first, 1) << label;
    }
  }
}

TEST_P(SamplingOf, TellsThePlacesOfAnImageApart) {
  const ClassSampler sampler(long_tail(), GetParam().sampling, 7);
  const auto order = sampler.order(3);
  std::map<int64_t, std::vector<int64_t>> occurrences;
  for (const auto& image : order) {
    occurrences[image.index].push_back(image.occurrence);
  }
  for (auto& [index, numbers] : occurrences) {
    std::sort(numbers.begin(), numbers.end());
    for (size_t i = 0; i < numbers.size(); ++i) {
      EXPECT_EQ(numbers[i], static_cast<int64_t>(i)) << index;
    }
  }
}

TEST_P(SamplingOf, DependsOnSeedAndEpochAlone) {
  const ClassSampler sampler(long_tail(), GetParam().sampling, 7);
  const ClassSampler again(long_tail(), GetParam().sampling, 7);
  const ClassSampler other(long_tail(), GetParam().sampling, 8);
  again.order(2);
  EXPECT_EQ(sampler.order(5), again.order(5));
  EXPECT_NE(sampler.order(5), sampler.order(6));
  EXPECT_NE(sampler.order(5), other.order(5));
}

INSTANTIATE_TEST_SUITE_P(All, SamplingOf,
                         testing::Values(Share{Sampling::kUniform, 1.0},
                                         Share{Sampling::kSqrt, 0.5},
                                         Share{Sampling::kBalanced, 0.0}),
                         [](const auto& test_case) { return enum_name(test_case.param.sampling); });

TEST(Sampling, TakesOtherImagesOfLargeClassesInEachEpoch) {
  const ClassSampler sampler(long_tail(), Sampling::kBalanced, 7);
  std::map<int64_t, int64_t> seen;
  for (int64_t epoch = 0; epoch < 20; ++epoch) {
    for (const auto& [index, count] : image_counts(sampler.order(epoch))) {
      seen[index] += count;
    }
  }
  EXPECT_EQ(seen.size(), long_tail().size());
}

TEST(Sampling, UniformIsAPermutation) {
  const auto counts = image_counts(ClassSampler(long_tail(), Sampling::kUniform, 1).order(0));
  EXPECT_EQ(counts.size(), long_tail().size());
}

TEST(Sampling, RefusesNegativeLabels) {
  EXPECT_THROW(ClassSampler({0, -1}, Sampling::kBalanced, 0), c10::ValueError);
}

}  // namespace
}  // namespace softmoe
