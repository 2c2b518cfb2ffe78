#include "runtime/memory/memory_use.h"

#include <gtest/gtest.h>

#include "runtime/device.h"

namespace softmoe {
namespace {

constexpr int64_t kMebibytes = int64_t{1} << 20;

TEST(MemoryUse, SomeIsAvailableOnEveryDevice) {
  for (const auto& device : present_devices()) {
    EXPECT_GT(available_memory_bytes(device), kMebibytes) << device;
    EXPECT_GT(total_memory_bytes(device), kMebibytes) << device;
  }
}

TEST(PeakMemory, CountsWhatWasInUseSinceItsReset) {
  for (const auto& device : present_devices()) {
    reset_peak_memory(device);
    const auto before = peak_memory_bytes(device);
    EXPECT_GE(before, 0);
    torch::zeros({64, kMebibytes}, device).add_(1);  // 256 MiB, touched and released
    synchronize(device);
    EXPECT_GE(peak_memory_bytes(device), before + 200 * kMebibytes);
    reset_peak_memory(device);
    EXPECT_LT(peak_memory_bytes(device), before + 200 * kMebibytes);
  }
}

}  // namespace
}  // namespace softmoe
