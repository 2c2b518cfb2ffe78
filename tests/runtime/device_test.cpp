#include "runtime/device.h"

#include <gtest/gtest.h>
#include <torch/cuda.h>

#include "core/error.h"

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

}  // namespace
}  // namespace softmoe
