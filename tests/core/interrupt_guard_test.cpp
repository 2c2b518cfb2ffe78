#include "core/interrupt_guard.h"

#include <gtest/gtest.h>

#include <csignal>

namespace softmoe {
namespace {

class EverySignal : public testing::TestWithParam<int> {};

TEST_P(EverySignal, IsNotedTheFirstTime) {
  EXPECT_FALSE(interrupt_requested());
  {
    const InterruptGuard guard;
    EXPECT_FALSE(interrupt_requested());
    std::raise(GetParam());
    EXPECT_TRUE(interrupt_requested());
  }
  const InterruptGuard guard;
  EXPECT_FALSE(interrupt_requested());
}

TEST_P(EverySignal, StaysIgnoredIfItWas) {
  const auto previous = std::signal(GetParam(), SIG_IGN);
  {
    const InterruptGuard guard;
    std::raise(GetParam());
    EXPECT_FALSE(interrupt_requested());
  }
  EXPECT_EQ(std::signal(GetParam(), previous), SIG_IGN);
}

INSTANTIATE_TEST_SUITE_P(InterruptGuard, EverySignal, testing::Values(SIGINT, SIGTERM, SIGHUP),
                         [](const auto& test) {
                           return test.param == SIGINT    ? "Interrupt"
                                  : test.param == SIGTERM ? "Terminate"
                                                          : "HangUp";
                         });

}  // namespace
}  // namespace softmoe
