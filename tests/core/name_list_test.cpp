#include "core/name_list.h"

#include <gtest/gtest.h>

namespace softmoe {
namespace {

TEST(NameList, ShowsTheFirstNamesAndCountsTheOthers) {
  EXPECT_EQ(name_list({}), "");
  EXPECT_EQ(name_list({"a"}), "a");
  EXPECT_EQ(name_list({"a", "b", "c"}, 3), "a, b, c");
  EXPECT_EQ(name_list({"a", "b", "c", "d", "e"}, 3), "a, b, c and 2 more");
}

TEST(NameList, ShowsNoControlCharactersAndNoLongNames) {
  EXPECT_EQ(name_list({"a\x1b[31m\rX"}), "a?[31m?X");
  EXPECT_LT(name_list({std::string(100'000, 'x')}).size(), 300U);
}

}  // namespace
}  // namespace softmoe
