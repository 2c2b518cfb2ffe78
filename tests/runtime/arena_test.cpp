#include "runtime/arena.h"

#include <gtest/gtest.h>

#include <cstring>
#include <thread>
#include <vector>

namespace softmoe {
namespace {

bool is_aligned(const void* memory) { return reinterpret_cast<uintptr_t>(memory) % 64 == 0; }

TEST(Arena, HandsOutAlignedPiecesThatDoNotOverlap) {
  Arena arena;
  arena.reset(Arena::room<float>(3) + Arena::room<uint16_t>(35) + Arena::room<double>(1));
  auto* const floats = arena.take<float>(3);
  auto* const shorts = arena.take<uint16_t>(35);
  auto* const number = arena.take<double>(1);
  EXPECT_TRUE(is_aligned(floats));
  EXPECT_TRUE(is_aligned(shorts));
  EXPECT_TRUE(is_aligned(number));
  std::memset(floats, 1, 3 * sizeof(float));
  std::memset(shorts, 2, 35 * sizeof(uint16_t));
  *number = 0.0;
  EXPECT_EQ(reinterpret_cast<const char*>(floats)[11], 1);
  EXPECT_EQ(reinterpret_cast<const char*>(shorts)[69], 2);
}

TEST(Arena, NeedsNoMoreRoomThanWasAskedFor) {
  Arena arena;
  arena.reset(Arena::room<float>(5));
  arena.take<float>(5);
  EXPECT_THROW(arena.take<float>(1), c10::Error);
}

TEST(Arena, KeepsItsMemoryUntilMoreIsNeeded) {
  Arena arena;
  arena.reset(Arena::room<int>(1000));
  auto* const first = arena.take<int>(1000);
  first[999] = 7;
  arena.reset(Arena::room<int>(10));
  EXPECT_EQ(arena.take<int>(10), first);
  arena.reset(Arena::room<int>(1000));
  EXPECT_EQ(arena.take<int>(1000)[999], 7);
  arena.reset(Arena::room<int>(100'000));
  arena.take<int>(100'000)[99'999] = 1;
}

TEST(Arena, CountsTheRoomOfALayout) {
  Arena arena;
  struct Pieces {
    float* floats;
    std::vector<int64_t*> numbers;
  } pieces{};
  int calls = 0;
  for (const int64_t count : {3, 70, 5}) {
    arena.lay_out([&](Arena& layout) {
      ++calls;
      pieces.floats = layout.take<float>(count);
      pieces.numbers.clear();
      for (int64_t piece = 0; piece < count; ++piece) {
        pieces.numbers.push_back(layout.take<int64_t>(piece + 1));
      }
    });
    ASSERT_TRUE(is_aligned(pieces.floats));
    std::fill_n(pieces.floats, count, 0.5F);
    for (int64_t piece = 0; piece < count; ++piece) {
      auto* const numbers = pieces.numbers[static_cast<size_t>(piece)];
      ASSERT_TRUE(is_aligned(numbers));
      std::fill_n(numbers, piece + 1, piece);
    }
    EXPECT_EQ(pieces.floats[count - 1], 0.5F);
    for (int64_t piece = 0; piece < count; ++piece) {
      EXPECT_EQ(pieces.numbers[static_cast<size_t>(piece)][piece], piece);
    }
    EXPECT_THROW(arena.take<float>(1'000'000), c10::Error);
  }
  EXPECT_EQ(calls, 6);
}

TEST(ThreadArena, BelongsToOneThread) {
  const Arena* const own = &thread_arena();
  EXPECT_EQ(&thread_arena(), own);
  const Arena* other = nullptr;
  std::thread([&] { other = &thread_arena(); }).join();
  EXPECT_NE(other, own);
}

}  // namespace
}  // namespace softmoe
