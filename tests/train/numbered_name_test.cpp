#include "train/numbered_name.h"

#include <gtest/gtest.h>

namespace softmoe {
namespace {

TEST(NumberInName, IsWhatStandsBetweenPrefixAndSuffix) {
  EXPECT_EQ(number_in_name("batch-00000120.h5", "batch-", ".h5"), 120);
  for (const auto* name : {"batch-.h5", "batch-12", "batch-12x.h5", "atch-12.h5", "batch-12.h5.tmp",
                           "batch.h5", "h5", ""}) {
    EXPECT_EQ(number_in_name(name, "batch-", ".h5"), std::nullopt) << name;
  }
  EXPECT_EQ(number_in_name("aba", "ab", "ba"), std::nullopt);
}

}  // namespace
}  // namespace softmoe
