#include "runtime/autocast_guard.h"

#include <gtest/gtest.h>

#include "runtime/device.h"

namespace softmoe {
namespace {

TEST(AutocastGuard, HoldsForItsLife) {
  for (const auto& device : present_devices()) {
    const auto x = torch::randn({3, 5}, device);
    const auto w = torch::randn({5, 2}, device);
    {
      const AutocastGuard outer(device, torch::kBFloat16);
      EXPECT_EQ(x.matmul(w).scalar_type(), torch::kBFloat16);
      {
        const AutocastGuard inner(device, torch::kFloat32);
        EXPECT_EQ(x.matmul(w).scalar_type(), torch::kFloat32);
      }
      EXPECT_EQ(x.matmul(w).scalar_type(), torch::kBFloat16);
    }
    EXPECT_EQ(x.matmul(w).scalar_type(), torch::kFloat32);
  }
}

}  // namespace
}  // namespace softmoe
