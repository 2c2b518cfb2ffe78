#include "core/interrupt_guard.h"

#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <thread>

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

TEST_P(EverySignal, IsOneIfItComesTwiceAtOnce) {
  const InterruptGuard guard;
  std::raise(GetParam());
  std::raise(GetParam());  // as `timeout` sends it: to the process and to its group
  EXPECT_TRUE(interrupt_requested());
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

TEST(InterruptGuard, EndsTheProgramIfASignalComesAgainLater) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "thread sanitizer delays handlers of signals";
#endif
  const auto interrupt_twice = [] {
    const InterruptGuard guard;
    std::raise(SIGINT);
    std::this_thread::sleep_for(std::chrono::milliseconds(1100));
    std::raise(SIGTERM);  // another one, for the first time
    std::raise(SIGINT);
  };
  EXPECT_EXIT(interrupt_twice(), testing::KilledBySignal(SIGINT), "");
}

INSTANTIATE_TEST_SUITE_P(InterruptGuard, EverySignal, testing::Values(SIGINT, SIGTERM, SIGHUP),
                         [](const auto& test) {
                           return test.param == SIGINT    ? "Interrupt"
                                  : test.param == SIGTERM ? "Terminate"
                                                          : "HangUp";
                         });

}  // namespace
}  // namespace softmoe
