#include "core/pluralize.h"

#include <gtest/gtest.h>

namespace softmoe {
namespace {

TEST(Pluralize, AddsAnSUnlessThePluralIsGiven) {
  EXPECT_EQ(pluralize(1, "image"), "1 image");
  EXPECT_EQ(pluralize(2, "image"), "2 images");
  EXPECT_EQ(pluralize(0, "image"), "0 images");
  EXPECT_EQ(pluralize(1, "class", "classes"), "1 class");
  EXPECT_EQ(pluralize(3, "class", "classes"), "3 classes");
}

}  // namespace
}  // namespace softmoe
