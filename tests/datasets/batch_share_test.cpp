#include "datasets/batch_share.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace softmoe::test {
namespace {

TEST(BatchShare, OfOneProcessIsTheBatch) {
  EXPECT_EQ(BatchShare{}.rows_of(7), (RowRange{.first = 0, .count = 7}));
  EXPECT_EQ(BatchShare{}.max_rows(7), 7);
}

TEST(BatchShare, SharesFollowEachOtherAndAreAsEqualAsUnitsAllow) {
  for (const int64_t ranks : {2, 3, 5}) {
    for (const int64_t unit : {1, 4}) {
      for (const int64_t rows : {0, 1, 4, 12, 13, 64}) {
        int64_t next = 0;
        int64_t smallest = rows;
        int64_t largest = 0;
        for (int64_t rank = 0; rank < ranks; ++rank) {
          const BatchShare share{.rank = rank, .ranks = ranks, .unit = unit};
          const auto own = share.rows_of(rows);
          EXPECT_EQ(own.first, next);
          EXPECT_LE(own.count, share.max_rows(rows));
          next += own.count;
          smallest = std::min(smallest, own.count);
          largest = std::max(largest, own.count);
        }
        EXPECT_EQ(next, rows) << ranks << " ranks, unit " << unit;
        if (rows % unit == 0) {
          EXPECT_LE(largest - smallest, unit) << rows << " rows";
          EXPECT_EQ(largest % unit, 0);
        } else {
          EXPECT_EQ(largest, rows);  // stays whole
        }
      }
    }
  }
}

}  // namespace
}  // namespace softmoe::test
