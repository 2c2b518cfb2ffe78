#include "datasets/sampling.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/rng.h"

namespace softmoe {
namespace {

double exponent(Sampling sampling) {
  switch (sampling) {
    case Sampling::kUniform:
      return 1.0;
    case Sampling::kSqrt:
      return 0.5;
    case Sampling::kBalanced:
      return 0.0;
  }
  TORCH_INTERNAL_ASSERT(false, "unknown sampling");
}

}  // namespace

void describe(OptionTable& table, SamplingOptions& options) {
  table.add(
      "sampling", options.sampling,
      "how often training images of a class of n images come: in proportion to n, so that "
      "each image comes once an epoch; to sqrt(n); or equally often for all classes. An epoch "
      "keeps its number of images: those of small classes come several times, each time "
      "with another augmentation if there is any, and of large classes others come in each epoch");
}

ClassSampler::ClassSampler(const std::vector<int64_t>& labels, Sampling sampling, uint64_t seed)
    : size_(std::ssize(labels)), seed_(seed) {
  for (int64_t index = 0; index < size_; ++index) {
    const int64_t label = labels[static_cast<size_t>(index)];
    TORCH_CHECK_VALUE(label >= 0, "ClassSampler: expected labels from 0, found ", label);
    if (label >= std::ssize(members_)) {
      members_.resize(static_cast<size_t>(label) + 1);
    }
    members_[static_cast<size_t>(label)].push_back(index);
  }
  for (const auto& images : members_) {
    const auto count = static_cast<double>(images.size());
    expected_.push_back(images.empty() ? 0.0 : std::pow(count, exponent(sampling)));
  }
  const double sum = std::accumulate(expected_.begin(), expected_.end(), 0.0);
  for (double& places : expected_) {
    places *= static_cast<double>(size_) / sum;
  }
}

std::vector<int64_t> ClassSampler::places(int64_t epoch) const {
  // Systematic rounding: a class gets the whole numbers in its part of [offset, offset + size).
  Rng rng(stream_key(seed_, "class places", static_cast<uint64_t>(epoch)));
  const double offset = rng.uniform();
  std::vector<int64_t> counts;
  double end = 0.0;
  int64_t given = 0;
  for (size_t label = 0; label < expected_.size(); ++label) {
    end += expected_[label];
    // The last class has images; the sum must be exact in spite of rounding errors.
    const bool is_last = label + 1 == expected_.size();
    const int64_t until = is_last ? size_ : static_cast<int64_t>(std::floor(end + offset));
    counts.push_back(
        members_[label].empty() ? 0 : std::clamp<int64_t>(until - given, 0, size_ - given));
    given += counts.back();
  }
  return counts;
}

std::vector<SampledImage> ClassSampler::order(int64_t epoch) const {
  const auto counts = places(epoch);
  std::vector<SampledImage> drawn;
  drawn.reserve(static_cast<size_t>(size_));
  for (size_t label = 0; label < members_.size(); ++label) {
    const auto& images = members_[label];
    const auto of_class = stream_key(seed_, "class order", static_cast<uint64_t>(epoch), label);
    Rng rng(of_class);
    const auto turns = random_permutation(std::ssize(images), rng);
    for (int64_t place = 0; place < counts[label]; ++place) {
      const auto turn = static_cast<size_t>(turns[static_cast<size_t>(place % std::ssize(images))]);
      drawn.push_back({.index = images[turn], .occurrence = place / std::ssize(images)});
    }
  }
  Rng rng(stream_key(seed_, "order", static_cast<uint64_t>(epoch)));
  std::vector<SampledImage> order;
  order.reserve(drawn.size());
  for (const int64_t place : random_permutation(std::ssize(drawn), rng)) {
    order.push_back(drawn[static_cast<size_t>(place)]);
  }
  return order;
}

std::vector<int64_t> all_labels(const Dataset& set) {
  std::vector<int64_t> labels;
  labels.reserve(static_cast<size_t>(set.size()));
  for (int64_t index = 0; index < set.size(); ++index) {
    labels.push_back(set.label(index));
  }
  return labels;
}

}  // namespace softmoe
