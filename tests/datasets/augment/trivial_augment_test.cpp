#include "datasets/augment/trivial_augment.h"

#include <algorithm>

#include "datasets/augment/parity.h"

namespace softmoe {
namespace {

using TrivialAugment = test::AugmentReference;

/// All arguments that `step` draws, sorted.
std::vector<double> drawn_arguments(const PolicyOperation& step) {
  auto arguments = step.arguments;
  for (size_t i = 0; step.either_sign && i < step.arguments.size(); ++i) {
    arguments.push_back(-step.arguments[i]);
  }
  std::sort(arguments.begin(), arguments.end());
  return arguments;
}

TEST_F(TrivialAugment, DrawsTorchvisionsMagnitudes) {
  const auto policy = trivial_augment();
  ASSERT_EQ(policy.choices.size(), 14);
  EXPECT_TRUE(policy.choices.front().empty());  // "Identity"
  for (size_t choice = 1; choice < policy.choices.size(); ++choice) {
    const auto& step = policy.choices[choice].front();
    const std::string name(step.operation->name);
    auto expected = numbers("trivial." + name);
    const bool is_factor =
        name == "Brightness" || name == "Color" || name == "Contrast" || name == "Sharpness";
    if (step.arguments.empty()) {
      EXPECT_EQ(expected, std::vector<double>{0.0}) << name;
      continue;
    }
    for (auto& value : expected) {
      value = is_factor ? 1.0 + value : name.starts_with("Translate") ? std::trunc(value) : value;
    }
    std::sort(expected.begin(), expected.end());
    const auto arguments = drawn_arguments(step);
    ASSERT_EQ(arguments.size(), expected.size()) << name;
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_NEAR(arguments[i], expected[i], 1e-5) << name;
    }
    EXPECT_EQ(step.probability, 1.0);
  }
}

}  // namespace
}  // namespace softmoe
