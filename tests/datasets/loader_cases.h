#pragma once
/// Loaders of small sets, and what they give.

#include <gtest/gtest.h>

#include <numeric>
#include <utility>
#include <vector>

#include "datasets/loader.h"
#include "datasets/small_sets.h"
#include "support/tensor_matcher.h"

namespace softmoe::test {

/// Random enough that wrong streams show.
inline Transform transform() {
  PreprocessOptions options;
  options.input_size = {1, NumberedSet::kHeight, NumberedSet::kWidth};
  options.train_crop = CropMode::kPadded;
  options.padding = 3;
  options.hflip = 0.5;
  return Transform::training(options);
}

inline std::vector<Batch> rest_of(Loader& loader) {
  std::vector<Batch> batches;
  while (auto batch = loader.next()) {
    batches.push_back(std::move(*batch));
  }
  return batches;
}

inline std::vector<Batch> epoch_of(Loader& loader, int64_t epoch, int64_t first_batch = 0) {
  loader.start(epoch, first_batch);
  return rest_of(loader);
}

inline void expect_same(const std::vector<Batch>& actual, const std::vector<Batch>& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    EXPECT_EQ(actual[i].number, expected[i].number);
    EXPECT_TRUE(same_bits(actual[i].images, expected[i].images));
    EXPECT_TRUE(same_bits(actual[i].labels, expected[i].labels));
    EXPECT_TRUE(same_bits(actual[i].indices, expected[i].indices));
  }
}

inline std::vector<int64_t> indices_of(const std::vector<Batch>& batches) {
  std::vector<int64_t> indices;
  for (const auto& batch : batches) {
    for (int64_t row = 0; row < batch.indices.size(0); ++row) {
      indices.push_back(batch.indices[row].item<int64_t>());
    }
  }
  return indices;
}

inline std::vector<int64_t> counted(int64_t begin, int64_t end) {
  std::vector<int64_t> numbers(static_cast<size_t>(end - begin));
  std::iota(numbers.begin(), numbers.end(), begin);
  return numbers;
}

inline LoaderOptions options_for(int64_t workers, int64_t prefetch = 3) {
  LoaderOptions options;
  options.batch_size = 37;
  options.workers = workers;
  options.prefetch = prefetch;
  options.seed = 5;
  options.shuffle = true;
  return options;
}

}  // namespace softmoe::test
