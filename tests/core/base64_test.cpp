#include "core/base64.h"

#include <gtest/gtest.h>

namespace softmoe {
namespace {

TEST(Base64, FollowsRfc4648) {
  EXPECT_EQ(to_base64(""), "");
  EXPECT_EQ(to_base64("f"), "Zg==");
  EXPECT_EQ(to_base64("fo"), "Zm8=");
  EXPECT_EQ(to_base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(to_base64(std::string("\xff\x00\xfe", 3)), "/wD+");
}

TEST(Base64, IsReadBack) {
  for (const std::string bytes : {"", "f", "fo", "foobar", "\xff\xfe\x01"}) {
    EXPECT_EQ(from_base64(to_base64(bytes)), bytes);
  }
  for (const std::string text : {"Zg", "Zg=a", "=Zg=", "Z-==", "Zg==Zg=="}) {
    EXPECT_EQ(from_base64(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace softmoe
