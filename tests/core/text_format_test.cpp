#include "core/text_format.h"

#include <limits>

namespace softmoe {
namespace {

TEST(TextFormat, CountsAndBytesHaveThreeDigits) {
  EXPECT_EQ(format_count(0), "0");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(21664896), "21.7M");
  EXPECT_EQ(format_count(3684880134), "3.68B");
  EXPECT_EQ(format_count(54139493136), "54.1B");
  EXPECT_EQ(format_count(999600), "1.00M");
  EXPECT_EQ(format_count(-21664896), "-21.7M");
  EXPECT_EQ(format_bytes(7369760268), "7.37 GB");
  EXPECT_EQ(format_bytes(999.7e6), "1.00 GB");
  EXPECT_EQ(format_bytes(512), "512 B");
}

TEST(TextFormat, WhatIsNotFiniteIsADash) {
  for (const double value :
       {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    EXPECT_EQ(format_count(value), kNoValue);
    EXPECT_EQ(format_bytes(value), kNoValue);
  }
}

TEST(TextFormat, WidthCountsCharactersNotBytes) {
  EXPECT_EQ(text_width("\u03bb = 1"), 5);
  EXPECT_EQ(text_width(""), 0);
}

}  // namespace
}  // namespace softmoe
