#include "inference/packed/expert_rows.h"

#include <gmock/gmock.h>

namespace softmoe {
namespace {

using testing::ElementsAre;
using testing::Field;
using testing::IsEmpty;

/// Rows of three experts, of which the second has none, for 2 images of 3 tokens.
SparseRows some_rows() {
  return {.token = torch::tensor({4, -1, 0, 2, -1, -1, -1, -1, 5, 4, 0, -1}, torch::kInt64)
                       .view({3, 4}),  // [experts, rows]
          .gate = torch::arange(12, torch::kFloat32).view({3, 4}),
          .batch = 2,
          .tokens = 3};
}

auto block(int64_t expert, int64_t first, int64_t count) {
  return testing::AllOf(Field(&ExpertBlock::expert, expert), Field(&ExpertBlock::first, first),
                        Field(&ExpertBlock::count, count));
}

TEST(ExpertRows, LeaveOutEmptyRows) {
  ExpertRows rows;
  rows.assign(some_rows());
  EXPECT_EQ(rows.count(), 6);
  EXPECT_EQ(rows.token_count(), 6);
  EXPECT_THAT(rows.tokens(), ElementsAre(4, 0, 2, 5, 4, 0));
  EXPECT_THAT(std::vector<float>(rows.gates(), rows.gates() + 6), ElementsAre(0, 2, 3, 8, 9, 10));
  EXPECT_THAT(rows.rows_of(0), ElementsAre(1, 5));
  EXPECT_THAT(rows.rows_of(1), IsEmpty());
  EXPECT_THAT(rows.rows_of(4), ElementsAre(0, 4));
  EXPECT_THAT(rows.rows_of(5), ElementsAre(3));
}

TEST(ExpertRows, HaveNoGatesIfOutputsStayAsTheyAre) {
  ExpertRows rows;
  rows.assign(some_rows());
  auto plain = some_rows();
  plain.gate.reset();
  rows.assign(plain);
  EXPECT_EQ(rows.gates(), nullptr);
}

TEST(ExpertRows, AreDividedIntoBlocksOfOneExpertLargeOnesFirst) {
  ExpertRows rows;
  rows.assign(some_rows());
  rows.divide(8);
  EXPECT_THAT(rows.blocks(), ElementsAre(block(0, 0, 3), block(2, 3, 3)));
  rows.divide(2);
  EXPECT_THAT(rows.blocks(),
              ElementsAre(block(0, 1, 2), block(2, 4, 2), block(0, 0, 1), block(2, 3, 1)));
}

TEST(ExpertRows, MayBeNone) {
  ExpertRows rows;
  rows.assign(
      {.token = torch::full({2, 1}, -1, torch::kInt64), .gate = {}, .batch = 1, .tokens = 4});
  rows.divide(3);
  EXPECT_EQ(rows.count(), 0);
  EXPECT_THAT(rows.blocks(), IsEmpty());
  EXPECT_THAT(rows.rows_of(3), IsEmpty());
}

TEST(ExpertRows, RefuseTokensThatTheBatchDoesNotHave) {
  ExpertRows rows;
  auto wrong = some_rows();
  wrong.batch = 1;
  EXPECT_THROW(rows.assign(wrong), c10::ValueError);
}

}  // namespace
}  // namespace softmoe
