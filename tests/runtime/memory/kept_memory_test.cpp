#include "runtime/memory/kept_memory.h"

#include <gtest/gtest.h>
#include <torch/types.h>
#include <unistd.h>

#include <fstream>

#include "runtime/memory/memory_use.h"

namespace softmoe {
namespace {

constexpr int64_t kMebibyte = int64_t{1} << 20;

torch::Tensor bytes_of(int64_t count) { return torch::full({count}, 1, torch::kUInt8); }

/// Address space that this process has, in bytes.
int64_t mapped_bytes() {
  std::ifstream file("/proc/self/statm");
  int64_t pages = 0;
  file >> pages;
  return pages * ::sysconf(_SC_PAGESIZE);
}

class KeptMemory : public testing::Test {
 protected:
  void SetUp() override {
    keep_freed_memory();
    release_kept_memory();
  }
  void TearDown() override { release_kept_memory(); }
};

TEST_F(KeptMemory, IsUsedAgainForTensorsOfTheSameSize) {
  void* address = nullptr;
  {
    const auto tensor = bytes_of(64 * kMebibyte);
    address = tensor.data_ptr();
  }
  const auto next = torch::empty({64 * kMebibyte}, torch::kUInt8);
  EXPECT_EQ(next.data_ptr(), address);
  EXPECT_EQ(next[kMebibyte].item<int>(), 1);    // not even cleared
  EXPECT_NE(next.clone().data_ptr(), address);  // in use
}

TEST_F(KeptMemory, OfOtherSizesMakesRoom) {
  const int64_t before = mapped_bytes();
  bytes_of(64 * kMebibyte);
  const auto next = bytes_of(96 * kMebibyte);
  EXPECT_LT(mapped_bytes() - before, 112 * kMebibyte);
}

TEST_F(KeptMemory, GoesBackToTheSystemOnRequest) {
  const int64_t before = memory_in_use_bytes(torch::kCPU);
  const auto held = bytes_of(32 * kMebibyte);
  bytes_of(64 * kMebibyte);
  EXPECT_LT(memory_in_use_bytes(torch::kCPU) - before, 64 * kMebibyte);
  EXPECT_EQ(held.sum().item<int64_t>(), 32 * kMebibyte);  // what is in use stays
}

TEST_F(KeptMemory, LeavesSmallTensorsAlone) {
  // A product of matrices, whose library asks the allocator for memory of its own.
  const auto x = torch::ones({300, 200});
  EXPECT_EQ(x.matmul(x.t()).sum().item<float>(), 300.0F * 300.0F * 200.0F);
  const auto y = torch::ones({300, 200}, torch::kBFloat16);
  EXPECT_EQ(y.matmul(y.t())[7][9].item<float>(), 200.0F);
}

}  // namespace
}  // namespace softmoe
