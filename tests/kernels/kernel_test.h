#pragma once
/// The fixture of all kernel tests.

#include "kernels/level.h"
#include "kernels/plain.h"

namespace softmoe::kernels {

/// Skips its tests on processors without the kernels.
class KernelTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!has(Need::kBf16Products)) {
      GTEST_SKIP() << "this processor does not run the kernels";
    }
  }
};

}  // namespace softmoe::kernels
