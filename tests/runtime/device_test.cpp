#include "runtime/device.h"

#include <gmock/gmock.h>
#include <torch/cuda.h>
#include <torch/version.h>

#include "core/error.h"
#include "core/options.h"
#include "runtime/machine.h"

namespace softmoe {
namespace {

TEST(Device, ParsesNames) {
  EXPECT_EQ(parse_device("cpu"), torch::Device(torch::kCPU));
  EXPECT_EQ(parse_device("auto").is_cuda(), torch::cuda::is_available());
  for (const char* name : {"gpu", "", "cuda:", "cuda:-1", "cuda:99", "cuda:x", "cudax", "CPU"}) {
    EXPECT_THROW(parse_device(name), UsageError) << name;
  }
}

TEST(Device, FindsThoseOfTheMachine) {
  const auto devices = present_devices();
  EXPECT_EQ(devices.front(), torch::Device(torch::kCPU));
  EXPECT_EQ(devices.size(), torch::cuda::is_available() ? 2U : 1U);
}

TEST(Autocast, HoldsForTheLifeOfItsGuard) {
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

TEST(PeakMemory, CountsWhatWasInUseSinceItsReset) {
  constexpr int64_t kMebibyte = 1 << 20;
  for (const auto& device : present_devices()) {
    const auto before = peak_memory_bytes(device);
    EXPECT_GE(before, 0);
    torch::zeros({64, kMebibyte}, device).add_(1);  // 256 MiB, touched and released
    synchronize(device);
    EXPECT_GE(peak_memory_bytes(device), before + 200 * kMebibyte);
    reset_peak_memory(device);
    EXPECT_LT(peak_memory_bytes(device), before + 200 * kMebibyte);
  }
}

TEST(Machine, DescribesWhatAResultWasMeasuredOn) {
  const Json machine = machine_description();
  EXPECT_FALSE(machine.empty());
  EXPECT_NE(machine.dump().find(TORCH_VERSION), std::string::npos);
}

TEST(ComputeThreads, AreAtLeastOne) {
  set_compute_threads(1);
  EXPECT_EQ(at::get_num_threads(), 1);
  set_compute_threads(0);
  EXPECT_GE(at::get_num_threads(), 1);
}

}  // namespace
}  // namespace softmoe
