#include "core/split_text.h"

#include <gmock/gmock.h>

namespace softmoe {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Trimmed, LosesItsSpacesOutsideAlone) {
  EXPECT_EQ(trimmed("  a b\t", " \t"), "a b");
  EXPECT_EQ(trimmed("\ta ", " "), "\ta");
  EXPECT_EQ(trimmed("  ", " "), "");
  EXPECT_EQ(trimmed("", " "), "");
}

TEST(SplitText, KeepsEmptyPartsButNoneAtTheEnd) {
  EXPECT_THAT(split_text("a,,b", ','), ElementsAre("a", "", "b"));
  EXPECT_THAT(split_text(",a", ','), ElementsAre("", "a"));
  EXPECT_THAT(split_text("first\nsecond\n", '\n'), ElementsAre("first", "second"));
  EXPECT_THAT(split_text("\n", '\n'), ElementsAre(""));
  EXPECT_THAT(split_text("", ','), IsEmpty());
}

}  // namespace
}  // namespace softmoe
