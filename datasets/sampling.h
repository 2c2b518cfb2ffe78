#pragma once
/// How often the images of each class come in an epoch: sampling for classes of unequal sizes.

#include <array>
#include <cstdint>
#include <vector>

#include "core/options.h"
#include "datasets/dataset.h"

namespace softmoe {

/// The probability of a class with n images is proportional to n^q. Source: Kang et al.,
/// arXiv:1910.09217, section 3, equation 1.
enum class Sampling {
  kUniform,   ///< q = 1: every image once ("instance-balanced")
  kSqrt,      ///< q = 1/2 ("square-root")
  kBalanced,  ///< q = 0: every class equally often ("class-balanced")
};
template <>
inline constexpr std::array<EnumName<Sampling>, 3> kEnumNames<Sampling>{
    {{Sampling::kUniform, "uniform"},
     {Sampling::kSqrt, "sqrt"},
     {Sampling::kBalanced, "balanced"}}};

struct SamplingOptions {
  Sampling sampling = Sampling::kUniform;

  bool operator==(const SamplingOptions&) const = default;
};
void describe(OptionTable& table, SamplingOptions& options);

/// A place in the order of an epoch.
struct SampledImage {
  int64_t index = 0;
  int64_t occurrence = 0;  ///< 0, 1, ... tell apart the places of one image in an epoch

  bool operator==(const SampledImage&) const = default;
};

/// Draws the images of epochs. An epoch has as many places as there are images. Each class gets its
/// expected number of places, rounded up or down at random so that the mean over epochs is exact;
/// an image of a class comes a second time only after all of that class came once, and which come
/// more often than others changes from epoch to epoch. Classes without images get no place.
class ClassSampler {
 public:
  /// `labels` of all images, none negative.
  ClassSampler(const std::vector<int64_t>& labels, Sampling sampling, uint64_t seed);

  /// The order of `epoch`, a function of (labels, sampling, seed, epoch). With kUniform it is a
  /// permutation.
  std::vector<SampledImage> order(int64_t epoch) const;

 private:
  /// How many places each class gets in `epoch`; the sum is the number of images.
  std::vector<int64_t> places(int64_t epoch) const;

  std::vector<std::vector<int64_t>> members_;  // images by class
  std::vector<double> expected_;               // places by class
  int64_t size_;
  uint64_t seed_;
};

/// The labels of all images of `set`, in their order.
std::vector<int64_t> all_labels(const Dataset& set);

}  // namespace softmoe
