#include "core/read_number.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

namespace softmoe {
namespace {

TEST(ParseNumber, TakesWholeTextsAlone) {
  EXPECT_EQ(parse_number("-2.5e-3"), -2.5e-3);
  EXPECT_EQ(parse_number("7"), 7.0);
  EXPECT_TRUE(std::isinf(parse_number("inf").value()));
  for (const auto* text : {"", "x", "1x", " 1", "1 ", "+1", "nan", "1e400", "0x10"}) {
    EXPECT_FALSE(parse_number(text).has_value()) << text;
  }
}

TEST(ParseNumberWithUnit, MultipliesByTheUnitThatFollows) {
  constexpr std::array<NumberUnit, 3> kUnits{{{"", 1}, {"k", 1000}, {"dozen", 12}}};
  EXPECT_EQ(parse_number_with_unit("3", kUnits), 3.0);
  EXPECT_EQ(parse_number_with_unit("1.5k", kUnits), 1500.0);
  EXPECT_EQ(parse_number_with_unit("2dozen", kUnits), 24.0);
  for (const auto* text : {"", "k", "-1k", "1 k", "1kk", "1doz", "inf", "nan", "infk"}) {
    EXPECT_FALSE(parse_number_with_unit(text, kUnits).has_value()) << text;
  }
}

}  // namespace
}  // namespace softmoe
