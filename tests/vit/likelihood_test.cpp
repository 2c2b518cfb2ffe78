#include "vit/likelihood.h"

#include <gtest/gtest.h>

#include <cmath>

#include "support/tensor_matcher.h"

namespace softmoe {
namespace {

TEST(Likelihood, SoftmaxProbabilitiesOfAnImageSumToOne) {
  const auto logits = torch::tensor({{0.0, std::log(3.0)}, {2.0, 2.0}, {-1.0, -1.0}});
  const auto expected = torch::tensor({{0.25, 0.75}, {0.5, 0.5}, {0.5, 0.5}});  // [batch, classes]
  EXPECT_TRUE(test::all_close(class_probabilities(logits, Likelihood::kSoftmax), expected));
}

TEST(Likelihood, SigmoidProbabilitiesOfClassesAreIndependent) {
  const auto logits = torch::tensor({{0.0, std::log(3.0)}, {-std::log(3.0), 0.0}});
  const auto expected = torch::tensor({{0.5, 0.75}, {0.25, 0.5}});  // [batch, classes]
  EXPECT_TRUE(test::all_close(class_probabilities(logits, Likelihood::kSigmoid), expected));
}

TEST(Likelihood, EveryNameIsReadBack) {
  for (const auto& [value, name] : kEnumNames<Likelihood>) {
    EXPECT_EQ(enum_value<Likelihood>(name), value);
    EXPECT_EQ(enum_name(value), name);
  }
}

}  // namespace
}  // namespace softmoe
