#include "runtime/memory/memory_limit.h"

#include <gmock/gmock.h>

#include "runtime/memory/memory_use.h"
#include "support/error_text.h"

namespace softmoe {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;

TEST(MemoryLimit, TurnsAPromiseIntoAnError) {
  // Below the physical memory, so that Linux would grant it; three of them cannot be had.
  const int64_t bytes = available_memory_bytes(torch::kCPU) / 5 * 2;
  {
    const MemoryLimit limit(torch::kCPU);
    const auto small = torch::empty({kMiB}, torch::kUInt8);
    EXPECT_EQ(small.numel(), kMiB);
    std::vector<torch::Tensor> held;
    bool refused = false;
    try {
      for (int i = 0; i < 3; ++i) {
        held.push_back(torch::empty({bytes}, torch::kUInt8));
      }
    } catch (const std::exception& error) {
      refused = is_out_of_memory(error);
    }
    EXPECT_TRUE(refused);
    EXPECT_EQ(held.size(), 2U);
  }
  std::vector<torch::Tensor> held;
  for (int i = 0; i < 3; ++i) {
    held.push_back(torch::empty({bytes}, torch::kUInt8));  // never touched
  }
  EXPECT_EQ(held.size(), 3U);
}

TEST(OutOfMemory, IsNoOtherError) {
  EXPECT_TRUE(is_out_of_memory(std::bad_alloc()));
  EXPECT_FALSE(is_out_of_memory(std::runtime_error("shape mismatch")));
}

TEST(WithinMemory, RunningOutNamesTheWork) {
  const auto torch_error = [] {
    // More than any machine has: refused at once.
    within_memory("--batch-size 3", [] { torch::empty({int64_t{1} << 50}, torch::kUInt8); });
  };
  EXPECT_THAT(test::input_error(torch_error),
              testing::StartsWith("--batch-size 3: expected enough memory, found can't allocate"));
  EXPECT_EQ(test::input_error([] { within_memory("work", [] { throw std::bad_alloc(); }); }),
            "work: expected enough memory, found out of memory");
  EXPECT_EQ(test::input_error([] { within_memory("work", [] { throw InputError("a.png"); }); }),
            "a.png");
  EXPECT_THROW(within_memory("work", [] { throw std::logic_error("a bug"); }), std::logic_error);
}

}  // namespace
}  // namespace softmoe
