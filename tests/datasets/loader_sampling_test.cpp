#include <gmock/gmock.h>

#include <algorithm>
#include <map>

#include "datasets/loader_cases.h"

namespace softmoe {
namespace {

using test::counted;
using test::epoch_of;
using test::expect_same;
using test::indices_of;
using test::NumberedSet;
using test::options_for;
using test::transform;
using testing::AllOf;
using testing::HasSubstr;

/// 37 images whose classes have 1, 12 and 24 images.
class UnequalSet : public NumberedSet {
 public:
  UnequalSet() : NumberedSet(37) {}
  int64_t label(int64_t index) const override { return index == 0 ? 0 : 1 + index % 3 % 2; }
};

LoaderOptions balanced_options(int64_t workers) {
  auto options = options_for(workers);
  options.batch_size = 9;
  options.sampling = Sampling::kBalanced;
  return options;
}

TEST(LoaderSampling, BalancesClassesForAnyNumberOfWorkersAndAnyStart) {
  const UnequalSet set;
  Loader alone(set, transform(), balanced_options(0));
  const auto expected = epoch_of(alone, 2);
  ASSERT_EQ(expected.size(), 5U);
  std::map<int64_t, int64_t> counts;
  for (const int64_t index : indices_of(expected)) {
    ++counts[set.label(index)];
  }
  for (int64_t label = 0; label < 3; ++label) {
    EXPECT_NEAR(static_cast<double>(counts[label]), 37.0 / 3, 1.0);
  }
  for (const int64_t workers : {1, 3}) {
    Loader loader(set, transform(), balanced_options(workers));
    expect_same(epoch_of(loader, 2), expected);
    expect_same(epoch_of(loader, 2, 3), {expected.begin() + 3, expected.end()});
  }
  EXPECT_NE(indices_of(epoch_of(alone, 3)), indices_of(expected));
}

/// The images that batches have of sample `index`.
std::vector<torch::Tensor> views_of(const std::vector<Batch>& batches, int64_t index) {
  std::vector<torch::Tensor> views;
  for (const auto& batch : batches) {
    for (int64_t row = 0; row < batch.indices.size(0); ++row) {
      if (batch.indices[row].item<int64_t>() == index) {
        views.push_back(batch.images[row]);
      }
    }
  }
  return views;
}

int64_t count_different(const std::vector<torch::Tensor>& views) {
  int64_t different = 0;
  for (size_t i = 0; i < views.size(); ++i) {
    different += std::none_of(views.begin(), views.begin() + static_cast<std::ptrdiff_t>(i),
                              [&](const auto& other) { return other.equal(views[i]); })
                     ? 1
                     : 0;
  }
  return different;
}

TEST(LoaderSampling, AugmentsAnImageAnewEachTimeItComes) {
  const UnequalSet set;
  auto options = balanced_options(2);
  Loader loader(set, transform(), options);
  const auto views = views_of(epoch_of(loader, 2), 0);
  EXPECT_NEAR(static_cast<double>(views.size()), 37.0 / 3, 1.0);
  EXPECT_GT(count_different(views), 8);  // of 98 that are possible
  options.repeats = 2;
  Loader repeating(set, transform(), options);
  const auto batches = epoch_of(repeating, 2);
  const auto indices = indices_of(batches);
  for (size_t place = 0; place + 1 < indices.size(); place += 2) {
    EXPECT_EQ(indices[place], indices[place + 1]);
  }
  const auto repeated = views_of(batches, 0);
  EXPECT_GT(count_different(repeated), static_cast<int64_t>(repeated.size()) / 2);
}

TEST(LoaderSampling, ChangesNothingWithoutShuffling) {
  const UnequalSet set;
  auto options = balanced_options(1);
  options.shuffle = false;
  Loader loader(set, transform(), options);
  EXPECT_EQ(indices_of(epoch_of(loader, 1)), counted(0, 37));
}

TEST(LoaderSampling, RefusesToBalanceAnEndlessSet) {
  NumberedSet set(37);
  set.without_end = true;
  EXPECT_THAT(test::usage_error([&] { Loader(set, transform(), balanced_options(1)); }),
              AllOf(HasSubstr("sampling: expected uniform"), HasSubstr("found balanced")));
}

}  // namespace
}  // namespace softmoe
