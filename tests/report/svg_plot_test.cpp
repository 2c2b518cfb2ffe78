#include <gmock/gmock.h>

#include "html.h"
#include "report/bar_chart.h"
#include "report/html_page.h"
#include "report/line_chart.h"
#include "report/svg_parts.h"
#include "report/table.h"

namespace softmoe::report {
namespace {

using test::attributes;
using test::count_of;
using test::is_well_formed;
using test::shows_no_number;
using testing::HasSubstr;

constexpr double kGap = std::numeric_limits<double>::quiet_NaN();

LineChart chart_of(std::vector<Series> series) {
  return {.name = "chart",
          .x = {.title = "steps"},
          .y = {.title = "accuracy (%)"},
          .series = std::move(series)};
}

TEST(LineChart, DrawsEveryPointOfEverySeries) {
  const auto svg =
      line_chart_svg(chart_of({{.label = "a", .color = 0, .points = {{1, 10}, {2, 20}, {3, 15}}},
                               {.label = "b", .color = 1, .points = {{1, 12}, {2, 11}}}}));
  EXPECT_TRUE(is_well_formed(svg));
  EXPECT_EQ(count_of(svg, "<circle"), 3U);
  EXPECT_EQ(attributes(svg, "rect", "m1", "x").size(), 2U);
  EXPECT_THAT(svg, HasSubstr(">15.0</text>"));  // the values at the ends
  EXPECT_THAT(svg, HasSubstr(">11.0</text>"));
}

TEST(LineChart, HigherValuesStandHigher) {
  const auto svg =
      line_chart_svg(chart_of({{.label = "a", .color = 0, .points = {{1, 10}, {2, 30}}}}));
  const auto heights = attributes(svg, "circle", "m0", "cy");
  const auto places = attributes(svg, "circle", "m0", "cx");
  ASSERT_EQ(heights.size(), 2U);
  EXPECT_GT(std::stod(heights[0]), std::stod(heights[1]));
  EXPECT_LT(std::stod(places[0]), std::stod(places[1]));
}

TEST(LineChart, BreaksTheLineWhereAValueIsMissing) {
  const auto svg = line_chart_svg(chart_of(
      {{.label = "a", .color = 0, .points = {{1, 1}, {2, 2}, {3, kGap}, {4, 4}, {5, 5}}}}));
  const auto paths = attributes(svg, "path", "line", "d");
  ASSERT_EQ(paths.size(), 1U);
  EXPECT_EQ(count_of(paths[0], "M"), 2U);
  EXPECT_EQ(count_of(paths[0], "L"), 2U);
  EXPECT_EQ(count_of(svg, "<circle"), 4U);
  EXPECT_FALSE(shows_no_number(svg));
}

TEST(LineChart, ShowsASinglePointAsAMarker) {
  const auto svg = line_chart_svg(
      chart_of({{.label = "a", .color = 0, .points = {{7, 0.5}}, .markers = false}}));
  EXPECT_TRUE(is_well_formed(svg));
  EXPECT_EQ(count_of(svg, "<circle"), 1U);
  EXPECT_FALSE(shows_no_number(svg));
}

TEST(LineChart, IsNothingWithoutValues) {
  EXPECT_EQ(line_chart_svg(chart_of({})), "");
  EXPECT_EQ(line_chart_svg(chart_of({{.label = "a", .color = 0, .points = {}}})), "");
  EXPECT_EQ(line_chart_svg(chart_of({{.label = "a", .color = 0, .points = {{1, kGap}}}})), "");
}

TEST(LineChart, DrawsSpreadAsBandAndWhiskers) {
  const auto svg = line_chart_svg(
      chart_of({{.label = "a", .color = 2, .points = {{1, 5, 4, 6}, {2, 7, 6.5, 7.5}, {3, 8}}}}));
  EXPECT_EQ(attributes(svg, "path", "band", "d").size(), 1U);
  EXPECT_EQ(attributes(svg, "path", "whisker", "d").size(), 2U);
}

TEST(LineChart, KeepsEndValuesApartAndInside) {
  std::vector<Series> series;
  for (int i = 0; i < 9; ++i) {
    series.push_back({.label = "run", .color = i, .points = {{0, 0}, {1, 50 + 0.01 * i}}});
  }
  const auto svg = line_chart_svg(chart_of(series));
  std::vector<double> places;
  for (int color = 0; color < kSeriesColors; ++color) {
    for (const auto& y : attributes(svg, "text", "t" + std::to_string(color), "y")) {
      places.push_back(std::stod(y));
    }
  }
  ASSERT_EQ(places.size(), 9U);
  std::sort(places.begin(), places.end());
  EXPECT_GE(places.front(), 20.0);
  EXPECT_LE(places.back(), 300.0);
  for (size_t i = 1; i < places.size(); ++i) {
    EXPECT_GE(places[i] - places[i - 1], 12.0);
  }
}

TEST(LineChart, LeavesEndValuesOutWhereThereIsNoRoom) {
  std::vector<Series> series(60, {.label = "run", .color = 0, .points = {{0, 0}, {1, 50}}});
  EXPECT_EQ(attributes(line_chart_svg(chart_of(series)), "text", "end", "y").size(), 0U);
}

TEST(LineChart, RepeatedColorsDifferByDashes) {
  const auto svg = line_chart_svg(
      chart_of({{.label = "a", .color = 1, .points = {{1, 1}, {2, 2}}},
                {.label = "b", .color = 1 + kSeriesColors, .points = {{1, 2}, {2, 1}}}}));
  EXPECT_EQ(attributes(svg, "path", "l1", "d").size(), 2U);
  EXPECT_EQ(attributes(svg, "path", "dashed", "d").size(), 1U);
  EXPECT_EQ(attributes(svg, "rect", "hollow", "x").size(), 2U);
}

TEST(LineChart, EscapesLabels) {
  auto chart = chart_of({{.label = "<b>&\"x\"", .color = 0, .points = {{1, 1}, {2, 2}}}});
  chart.name = "a < b";
  chart.y.title = "<y>";
  const auto svg = line_chart_svg(chart);
  EXPECT_TRUE(is_well_formed(svg));
  EXPECT_THAT(svg, HasSubstr("&lt;b&gt;&amp;&quot;x&quot;"));
}

TEST(BarChart, LengthsAreProportional) {
  const auto svg = bar_chart_svg({.name = "n",
                                  .title = "images per second",
                                  .bars = {{.label = "one", .value = 2.0, .low = 1.5, .high = 2.5},
                                           {.label = "two", .value = 8.0, .note = "4.00x"}}});
  EXPECT_TRUE(is_well_formed(svg));
  const auto widths = attributes(svg, "rect", "bar", "width");
  ASSERT_EQ(widths.size(), 2U);
  EXPECT_NEAR(std::stod(widths[1]) / std::stod(widths[0]), 4.0, 1e-3);
  EXPECT_LE(std::stod(widths[1]), 460.0);
  EXPECT_EQ(attributes(svg, "path", "spread", "d").size(), 1U);
  EXPECT_THAT(svg, HasSubstr("4.00x"));
}

TEST(BarChart, TextBehindTheLongestBarStaysInside) {
  const auto svg = bar_chart_svg(
      {.name = "n",
       .title = "t",
       .bars = {{.label = "m", .value = 123456.0, .high = 130000.0, .note = "baseline"}}});
  const auto places = attributes(svg, "text", "tick", "x");
  ASSERT_EQ(places.size(), 1U);
  EXPECT_LE(std::stod(places[0]) + 7.0 * 8, 460.0 + 1.0);
}

TEST(BarChart, FullScaleFixesTheEnd) {
  const auto svg = bar_chart_svg({.name = "n",
                                  .title = "share (%)",
                                  .bars = {{.label = "m", .value = 25.0}},
                                  .full_scale = 100.0});
  const auto track = attributes(svg, "rect", "track", "width");
  ASSERT_EQ(track.size(), 1U);
  EXPECT_NEAR(std::stod(attributes(svg, "rect", "bar", "width")[0]) / std::stod(track[0]), 0.25,
              1e-3);
}

TEST(BarChart, MissingValuesLeaveTheOthers) {
  EXPECT_EQ(bar_chart_svg({.name = "n", .title = "t", .bars = {{.label = "m", .value = kGap}}}),
            "");
  const auto svg = bar_chart_svg(
      {.name = "n", .title = "t", .bars = {{.label = "m", .value = kGap}, {"k", 1.0}}});
  EXPECT_FALSE(shows_no_number(svg));
}

TEST(EscapeHtml, ReplacesWhatMeansSomething) {
  EXPECT_EQ(escape_html("a<b>&\"c'\x01\n"), "a&lt;b&gt;&amp;&quot;c&#39;\n");
  EXPECT_EQ(escape_html("caf\xe9, \u00e4"), "caf\uFFFD, \u00e4");
}

TEST(Table, TextColumnsAreAligned) {
  const Table table{.title = "T",
                    .columns = {{"name"}, {"value", true}},
                    .rows = {{.cells = {"\u03bb", "1.5"}}, {.cells = {"longer", "10.25"}}},
                    .note = "note"};
  EXPECT_EQ(table_text(table),
            "T\n"
            "name    value\n"
            "------  -----\n"
            "\u03bb         1.5\n"
            "longer  10.25\n"
            "note\n");
}

}  // namespace
}  // namespace softmoe::report
