#include "core/interrupt_guard.h"

#include <gtest/gtest.h>

#include <csignal>

namespace softmoe {
namespace {

TEST(InterruptGuard, OnlyNotesTheFirstSignal) {
  EXPECT_FALSE(interrupt_requested());
  {
    const InterruptGuard guard;
    EXPECT_FALSE(interrupt_requested());
    std::raise(SIGTERM);
    EXPECT_TRUE(interrupt_requested());
  }
  const InterruptGuard guard;
  EXPECT_FALSE(interrupt_requested());
}

}  // namespace
}  // namespace softmoe
