#include "ops/fused/applies.h"

#include "runtime/autocast_guard.h"
#include "support/levels.h"

namespace softmoe::fused::applies_test {

using FusedPrecision = test::LevelTest;
INSTANTIATE_TEST_SUITE_P(Levels, FusedPrecision, test::every_level(), test::level_name);

/// What the operators compute in on this level, if it is not libtorch that computes.
std::optional<Precision> unless_portable(Precision precision) {
  return kernels::level() == kernels::Level::kPortable ? std::nullopt : std::optional(precision);
}

TEST_P(FusedPrecision, OfFp32ValuesIsFp32WithoutAutocast) {
  EXPECT_EQ(precision_of(torch::zeros({2})), unless_portable(Precision::kFloat32));
  for (const auto dtype : {torch::kFloat64, torch::kBFloat16, torch::kFloat16}) {
    EXPECT_EQ(precision_of(torch::zeros({2}, dtype)), std::nullopt) << dtype;
  }
}

TEST_P(FusedPrecision, IsThatOfBf16Autocast) {
  {
    const AutocastGuard autocast(torch::kCPU, torch::kBFloat16);
    for (const auto dtype : {torch::kFloat32, torch::kBFloat16}) {
      EXPECT_EQ(precision_of(torch::zeros({2}, dtype)), unless_portable(Precision::kBFloat16))
          << dtype;
    }
  }
  const AutocastGuard autocast(torch::kCPU, torch::kFloat16);
  EXPECT_EQ(precision_of(torch::zeros({2})), std::nullopt);
}

TEST_P(FusedPrecision, OfNothingIsNone) {
  EXPECT_EQ(precision_of(torch::zeros({0, 3})), std::nullopt);
}

}  // namespace softmoe::fused::applies_test
