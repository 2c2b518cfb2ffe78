#include "inference/modules/lru_cache.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

namespace softmoe {
namespace {

TEST(LruCache, DropsWhatWasUsedLongestAgo) {
  LruCache<int64_t, std::string> values(2);
  EXPECT_EQ(values.latest(), nullptr);
  values.insert(3, "three");
  values.insert(5, "five");
  ASSERT_NE(values.find(3), nullptr);
  EXPECT_EQ(*values.latest(), "three");
  values.insert(7, "seven");
  EXPECT_EQ(values.size(), 2U);
  EXPECT_EQ(values.find(5), nullptr);
  ASSERT_NE(values.find(3), nullptr);
  EXPECT_EQ(*values.find(3), "three");
  EXPECT_EQ(*values.find(7), "seven");
}

TEST(LruCache, GivesValuesThatCanBeChanged) {
  LruCache<int64_t, int> values(1);
  values.insert(2, 10);
  *values.find(2) += 1;
  EXPECT_EQ(*values.find(2), 11);
}

}  // namespace
}  // namespace softmoe
