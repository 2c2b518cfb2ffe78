#include "runtime/machine.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/version.h>

namespace softmoe {
namespace {

TEST(Machine, DescribesWhatAResultWasMeasuredOn) {
  const Json machine = machine_description("avx2");
  EXPECT_EQ(machine.at("isa"), "avx2");
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
