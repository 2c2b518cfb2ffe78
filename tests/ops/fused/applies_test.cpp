#include "ops/fused/applies.h"

#include "ops/operator_checks.h"
#include "runtime/autocast_guard.h"

namespace softmoe::fused::applies_test {

using FusedApplies = test::KernelTest;

TEST_F(FusedApplies, UnderBf16AutocastOfKernelsOnly) {
  const auto x = torch::zeros({2});
  EXPECT_FALSE(applies(x));
  const AutocastGuard autocast(torch::kCPU, torch::kBFloat16);
  EXPECT_TRUE(applies(x));
  {
    const kernels::ScopedLevel portable(kernels::Level::kPortable);
    EXPECT_FALSE(applies(x));
  }
  EXPECT_TRUE(applies(x));
}

}  // namespace softmoe::fused::applies_test
