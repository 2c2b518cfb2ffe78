#include "datasets/subset.h"

#include <gtest/gtest.h>

#include "datasets/small_sets.h"

namespace softmoe {
namespace {

using test::NumberedSet;

TEST(Subset, KeepsTheOrderOfItsIndices) {
  const Subset part(std::make_shared<NumberedSet>(20), {19, 4, 4});
  ASSERT_EQ(part.size(), 3);
  EXPECT_EQ(part.label(0), 19 % 3);
  EXPECT_EQ(part.sample_name(1), "numbered[4]");
  EXPECT_TRUE(test::same_pixels(part.get(2).image, NumberedSet(20).get(4).image));
  EXPECT_THROW(part.get(3), c10::IndexError);
}

TEST(Subset, UsesASetThatBelongsToTheCaller) {
  NumberedSet set(7);
  set.without_end = true;
  const Subset part(set, {5, 2});
  EXPECT_EQ(part.sample_name(0), "numbered[5]");
  EXPECT_EQ(part.class_names(), set.class_names());
  EXPECT_FALSE(part.endless());
}

}  // namespace
}  // namespace softmoe
