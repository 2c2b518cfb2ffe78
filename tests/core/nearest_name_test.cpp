#include "core/nearest_name.h"

#include <gtest/gtest.h>

namespace softmoe {
namespace {

TEST(DidYouMean, NamesTheNearestOfThoseThatAreNear) {
  const std::vector<std::string> known{"batch-size", "base-size", "lr"};
  EXPECT_EQ(did_you_mean("batch-sice", known), ", did you mean batch-size?");
  EXPECT_EQ(did_you_mean("basesize", known), ", did you mean base-size?");
  EXPECT_EQ(did_you_mean("BATCH-SIZE", known), ", did you mean batch-size?");
  EXPECT_EQ(did_you_mean("resolution", known), "");
  EXPECT_EQ(did_you_mean("on", known), "");  // nothing of lr is in it
}

}  // namespace
}  // namespace softmoe
