#include "report/number_text.h"

#include <gmock/gmock.h>

#include <limits>

#include "report/axis.h"
#include "report/curves.h"

namespace softmoe::report {
namespace {

using testing::DoubleEq;
using testing::ElementsAre;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

TEST(NumberText, GroupsThousandsAndKeepsDecimals) {
  EXPECT_EQ(fixed_text(1234567.891, 2), "1,234,567.89");
  EXPECT_EQ(fixed_text(-1234.5, 1), "-1,234.5");
  EXPECT_EQ(fixed_text(999.96, 1), "1,000.0");
  EXPECT_EQ(fixed_text(-0.001, 2), "0.00");
  EXPECT_EQ(fixed_text(123, 0), "123");
}

TEST(NumberText, ShowsSignificantDigitsWithoutExponent) {
  EXPECT_EQ(short_text(0.012345), "0.0123");
  EXPECT_EQ(short_text(12345.0), "12,345");
  EXPECT_EQ(short_text(1.0), "1.00");
  EXPECT_EQ(short_text(0.0, 1), "0");
  EXPECT_EQ(short_text(3.2e-7), "3.2e-07");
}

TEST(NumberText, WhatIsNotFiniteIsADash) {
  for (const double value : {kNan, std::numeric_limits<double>::infinity()}) {
    EXPECT_EQ(fixed_text(value, 1), kNoValue);
    EXPECT_EQ(short_text(value), kNoValue);
    EXPECT_EQ(percent_text(value), kNoValue);
    EXPECT_EQ(duration_text(value), kNoValue);
  }
}

TEST(NumberText, PicksUnits) {
  EXPECT_EQ(duration_text(7.25), "7.2 s");
  EXPECT_EQ(duration_text(59.6), "60 s");
  EXPECT_EQ(duration_text(245), "4:05 min");
  EXPECT_EQ(duration_text(11105), "3:05:05 h");
  EXPECT_EQ(percent_text(0.56123), "56.1");
}

TEST(NumberText, CutsBetweenCharacters) {
  EXPECT_EQ(shortened("\u03bb\u03bb\u03bb\u03bb", 3), "\u03bb\u03bb\u2026");
  EXPECT_EQ(shortened("abc", 3), "abc");
}

TEST(Axis, TicksAreRoundAndCoverTheData) {
  EXPECT_THAT(round_ticks(0.0, 61.0, 5),
              ElementsAre(DoubleEq(0), DoubleEq(20), DoubleEq(40), DoubleEq(60), DoubleEq(80)));
  for (const double high : {1e-6, 0.37, 9.0, 123.0, 4.5e7}) {
    const auto ticks = round_ticks(0.2 * high, high, 5);
    EXPECT_LE(ticks.front(), 0.2 * high * (1 + 1e-9));
    EXPECT_GE(ticks.back(), high * (1 - 1e-9));
    EXPECT_GE(ticks.size(), 4U);
    EXPECT_LE(ticks.size(), 8U);
  }
}

TEST(Axis, NeighbouringTicksHaveDifferentTexts) {
  for (const double low : {0.0, 0.99, 12345.0}) {
    const auto scale = make_scale({.title = "x"}, {low, low + 0.013}, 5, true);
    for (size_t i = 1; i < scale.tick_texts.size(); ++i) {
      EXPECT_NE(scale.tick_texts[i], scale.tick_texts[i - 1]);
    }
    EXPECT_GE(scale.tick_texts.size(), 2U);
  }
}

TEST(Axis, LeavesOutWhatCannotBePlaced) {
  const Axis logarithmic{.title = "x", .logarithmic = true};
  const auto scale = make_scale(logarithmic, {kNan, -3.0, 0.0, 2.0, 200.0}, 5, false);
  EXPECT_DOUBLE_EQ(scale.low, 2.0);
  EXPECT_DOUBLE_EQ(scale.high, 200.0);
  EXPECT_NEAR(scale.position(20.0), 0.5, 1e-12);
  EXPECT_THAT(scale.tick_texts, ElementsAre("2", "5", "10", "20", "50", "100", "200"));
}

TEST(Axis, GivesASingleValueARange) {
  for (const bool logarithmic : {false, true}) {
    const auto scale = make_scale({.title = "x", .logarithmic = logarithmic}, {5.0, 5.0}, 5, false);
    EXPECT_LT(scale.low, 5.0);
    EXPECT_GT(scale.high, 5.0);
    EXPECT_FALSE(scale.ticks.empty());
  }
}

TEST(Curves, InterpolateOnlyBetweenPoints) {
  const Curve curve{{10, 1.0, 0.2}, {20, 3.0, kNan}, {30, 5.0, 0.6}};
  EXPECT_DOUBLE_EQ(value_at(curve, &CurvePoint::step, 15), 0.3);
  EXPECT_DOUBLE_EQ(value_at(curve, &CurvePoint::seconds, 2.0), 0.3);
  EXPECT_DOUBLE_EQ(value_at(curve, &CurvePoint::step, 30), 0.6);
  EXPECT_TRUE(std::isnan(value_at(curve, &CurvePoint::step, 9)));
  EXPECT_TRUE(std::isnan(value_at(curve, &CurvePoint::step, 31)));
}

TEST(Curves, ThinningKeepsTheMeanOfEvenRuns) {
  Curve curve;
  for (int i = 0; i < 40; ++i) {
    curve.push_back({.step = static_cast<double>(i), .seconds = 0.5 * i, .value = i % 7 * 1.0});
  }
  const auto thin = thinned(curve, 8);
  ASSERT_EQ(thin.size(), 8U);
  double total = 0.0;
  for (const auto& point : curve) {
    total += point.value;
  }
  double thin_total = 0.0;
  for (const auto& point : thin) {
    thin_total += 5.0 * point.value;
  }
  EXPECT_NEAR(thin_total, total, 1e-9);
  EXPECT_DOUBLE_EQ(thin.front().step, 2.0);
}

TEST(Curves, OnlyAShortLastRecordIsLeftOut) {
  const Curve even{{10, kNan, 1}, {20, kNan, 2}, {30, kNan, 3}};
  const Curve short_end{{10, kNan, 1}, {20, kNan, 2}, {21, kNan, 3}};
  EXPECT_EQ(without_short_end(even).size(), 3U);
  EXPECT_EQ(without_short_end(short_end).size(), 2U);
  EXPECT_EQ(without_short_end({{10, kNan, 1}, {11, kNan, 1}}).size(), 2U);
}

TEST(Curves, SmoothingLeavesAStraightLineAlone) {
  Curve line;
  for (int i = 0; i < 11; ++i) {
    line.push_back({.step = static_cast<double>(i), .seconds = kNan, .value = 3.0 - 0.25 * i});
  }
  const auto smooth = smoothed(line, 3);
  for (size_t i = 0; i < line.size(); ++i) {
    EXPECT_NEAR(smooth[i].value, line[i].value, 1e-12) << i;
  }
}

}  // namespace
}  // namespace softmoe::report
