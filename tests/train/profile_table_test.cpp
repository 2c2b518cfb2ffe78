#include "train/profile_table.h"

#include <gmock/gmock.h>

namespace softmoe {
namespace {

using testing::DoubleNear;
using testing::Field;

constexpr int64_t kMs = 1'000'000;

ProfileEvent part(const std::string& name, int64_t begin, int64_t end, int64_t sequence = 0,
                  int64_t sequence_end = 0) {
  return {.name = name,
          .kind = ProfileKind::kPart,
          .thread = 1,
          .begin_ns = begin * kMs,
          .end_ns = end * kMs,
          .sequence = sequence,
          .sequence_end = sequence_end};
}

ProfileEvent backward(int64_t begin, int64_t end, int64_t sequence) {
  return {.name = "SomeBackward",
          .kind = ProfileKind::kBackward,
          .thread = 1,
          .begin_ns = begin * kMs,
          .end_ns = end * kMs,
          .sequence = sequence};
}

/// An update of 40 ms: forward of two blocks in 10 ms, backward in 20 ms, optimizer in 5 ms.
std::vector<ProfileEvent> one_update() {
  return {part("update", 0, 40, 0, 9),
          part("forward", 1, 11, 0, 8),
          part("blocks.0", 1, 4, 0, 3),
          part("attn", 1, 2, 0, 2),
          part("blocks.1", 4, 10, 3, 7),
          part("backward", 11, 31, 9, 9),
          backward(12, 20, 6),              // of blocks.1
          backward(20, 25, 0),              // of blocks.0/attn
          part("blocks.0", 21, 23, 9, 11),  // computed again inside
          backward(26, 27, -1),             // a sum of gradients: no part's
          part("optimizer", 32, 37, 9, 9)};
}

auto is_part(const std::string& path, double ms, double backward_ms) {
  return testing::AllOf(Field(&PartTime::path, path),
                        Field(&PartTime::seconds, DoubleNear(ms / 1e3, 1e-12)),
                        Field(&PartTime::backward, DoubleNear(backward_ms / 1e3, 1e-12)));
}

TEST(PartTimes, GiveEachPartItsOwnTimeAndItsBackwardFunctions) {
  EXPECT_THAT(
      part_times(one_update()),
      testing::ElementsAre(is_part("update", 5, 0), is_part("update/forward", 1, 0),
                           is_part("update/forward/blocks.0", 2, 0),
                           is_part("update/forward/blocks.0/attn", 1, 5),
                           is_part("update/forward/blocks.1", 6, 8),
                           is_part("update/backward", 7, 0), is_part("update/optimizer", 5, 0)));
}

TEST(PartTimes, LeaveOutWhatIsBetweenUpdates) {
  auto events = one_update();
  events.push_back(part("blocks.0", 50, 60));
  EXPECT_EQ(part_times(events).size(), 7U);
}

TEST(PartTimes, BackwardFunctionsMayRunOnAnotherThread) {
  auto events = one_update();
  auto function = backward(12, 14, 6);
  function.thread = 2;
  events.push_back(function);
  EXPECT_THAT(part_times(events)[4], is_part("update/forward/blocks.1", 6, 10));
}

TEST(ProfileTable, HasSharesAndRates) {
  const auto table = profile_table(part_times(one_update()), 1, {{"blocks.1", 0.7}}, 300.0);
  EXPECT_THAT(table, testing::HasSubstr("blocks.0/attn"));
  // 3 x 0.7 GFLOP in 14 ms, which are 35 % of 40 ms.
  EXPECT_THAT(table, testing::ContainsRegex("blocks.1 +6.00 +8.00 +35.0 % +150 +50 %"));
  EXPECT_THAT(table, testing::ContainsRegex("rest +5.00 +- +12.5 %"));
  EXPECT_THAT(table, testing::ContainsRegex("update +40.00"));
}

}  // namespace
}  // namespace softmoe
