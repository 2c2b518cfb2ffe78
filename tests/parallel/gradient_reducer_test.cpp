#include "parallel/gradient_reducer.h"

#include <gtest/gtest.h>

#include "parallel/ranks.h"
#include "support/tensor_matcher.h"

namespace softmoe::test {
namespace {

/// Leaves of different sizes, the same in all ranks; the first two share a large bucket.
std::vector<torch::Tensor> leaves() {
  std::vector<torch::Tensor> tensors;
  for (const int64_t size : {300'000, 7, 400'000, 1, 33}) {
    tensors.push_back(torch::linspace(-1, 1, size).requires_grad_());
  }
  return tensors;
}

/// A loss of `tensors`, each of which counts with another factor.
torch::Tensor loss_of(const std::vector<torch::Tensor>& tensors, double factor) {
  auto loss = torch::zeros({});
  for (size_t i = 0; i < tensors.size(); ++i) {
    loss = loss + (tensors[i] * tensors[i]).sum() * factor * static_cast<double>(i + 1);
  }
  return loss;
}

TEST(GradientReducer, GivesTheWeightedSumOverRanks) {
  const auto errors = run_ranks(3, [](const World& world) {
    const auto tensors = leaves();
    GradientReducer reducer(world, tensors);
    for (int update = 0; update < 2; ++update) {
      const auto rank = static_cast<double>(world.rank());
      reducer.begin(0.1 * (rank + 1));
      loss_of(tensors, rank + 2).backward();
      std::vector<double> numbers{rank, 1.0};
      reducer.finish(numbers);
      EXPECT_EQ(numbers, (std::vector<double>{3.0, 3.0}));
      for (size_t i = 0; i < tensors.size(); ++i) {
        // 0.1 * 2 + 0.2 * 3 + 0.3 * 4
        EXPECT_TRUE(all_close(tensors[i].grad(),
                              tensors[i].detach() * (2.0 * 2.0 * static_cast<double>(i + 1)),
                              {.absolute = 1e-6, .relative = 1e-6}));
        tensors[i].mutable_grad().reset();
      }
    }
  });
  EXPECT_EQ(errors, no_errors(3));
}

TEST(GradientReducer, SumsWhatEarlierPassesHaveAdded) {
  const auto errors = run_ranks(2, [](const World& world) {
    const auto tensors = leaves();
    GradientReducer reducer(world, tensors);
    loss_of(tensors, 1.0).backward();
    reducer.begin(0.5);
    // The last pass does not reach the last leaf.
    loss_of({tensors.begin(), tensors.end() - 1}, 2.0).backward();
    std::vector<double> numbers;
    reducer.finish(numbers);
    for (size_t i = 0; i < tensors.size(); ++i) {
      const double factor = i + 1 == tensors.size() ? 1.0 : 3.0;
      EXPECT_TRUE(all_close(tensors[i].grad(),
                            tensors[i].detach() * (2.0 * factor * static_cast<double>(i + 1)),
                            {.absolute = 1e-6, .relative = 1e-6}));
    }
  });
  EXPECT_EQ(errors, no_errors(2));
}

TEST(GradientReducer, AParameterThatNoRankUsesGetsNoGradient) {
  const auto errors = run_ranks(2, [](const World& world) {
    const auto tensors = leaves();
    GradientReducer reducer(world, tensors);
    reducer.begin(0.5);
    // Rank 1 alone uses the second leaf; nobody uses the third.
    auto used = std::vector<torch::Tensor>{tensors[0]};
    if (world.rank() == 1) {
      used.push_back(tensors[1]);
    }
    loss_of(used, 1.0).backward();
    std::vector<double> numbers;
    reducer.finish(numbers);
    EXPECT_TRUE(all_close(tensors[1].grad(), tensors[1].detach() * 2.0,
                          {.absolute = 1e-6, .relative = 1e-6}));
    EXPECT_FALSE(tensors[2].grad().defined());
  });
  EXPECT_EQ(errors, no_errors(2));
}

TEST(GradientReducer, LeavesGradientsAloneUntilItIsAsked) {
  const auto errors = run_ranks(2, [](const World& world) {
    const auto tensors = leaves();
    {
      const GradientReducer reducer(world, tensors);
      loss_of(tensors, static_cast<double>(world.rank())).backward();
    }
    loss_of(tensors, 1.0).backward();  // its hooks are gone
    EXPECT_TRUE(all_close(tensors[0].grad(),
                          tensors[0].detach() * (2.0 * static_cast<double>(world.rank() + 1)),
                          {.absolute = 1e-6, .relative = 1e-6}));
  });
  EXPECT_EQ(errors, no_errors(2));
}

TEST(GradientReducer, CanSumInBf16WithHalfTheBytes) {
  const auto errors = run_ranks(2, [](const World& world) {
    const auto tensors = leaves();
    GradientReducer exact(world, tensors);
    GradientReducer rounded(world, tensors, torch::kBFloat16);
    std::vector<double> none;
    const auto sent_by = [&](GradientReducer& reducer) {
      const auto before = world.traffic().summed;
      reducer.begin(0.5);
      loss_of(tensors, 1.0).backward();
      reducer.finish(none);
      return world.traffic().summed - before;
    };
    const auto bytes = sent_by(exact);
    std::vector<torch::Tensor> expected;
    for (const auto& tensor : tensors) {
      expected.push_back(tensor.grad().clone());
      tensor.mutable_grad().reset();
    }
    EXPECT_EQ(sent_by(rounded), bytes / 2);
    for (size_t i = 0; i < tensors.size(); ++i) {
      EXPECT_EQ(tensors[i].grad().scalar_type(), torch::kFloat32);
      EXPECT_TRUE(all_close(tensors[i].grad(), expected[i], {.relative = 1e-2}));
    }
  });
  EXPECT_EQ(errors, no_errors(2));
}

}  // namespace
}  // namespace softmoe::test
