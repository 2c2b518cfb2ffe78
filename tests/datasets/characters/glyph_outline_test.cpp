#include "datasets/characters/glyph_outline.h"

#include <gmock/gmock.h>

namespace softmoe {
namespace {

using testing::ElementsAre;
using testing::FloatNear;
using testing::Pointwise;

void add_polygon(OutlineRaster& raster, const std::vector<std::pair<float, float>>& points) {
  for (size_t i = 0; i < points.size(); ++i) {
    const auto& [x0, y0] = points[i];
    const auto& [x1, y1] = points[(i + 1) % points.size()];
    raster.add_edge(x0, y0, x1, y1);
  }
}

std::vector<float> coverage_of(OutlineRaster& raster, int size) {
  std::vector<float> coverage(static_cast<size_t>(size * size), 99.0F);
  raster.take_coverage(coverage.data());
  return coverage;
}

double area_of(const std::vector<float>& coverage) {
  double area = 0.0;
  for (const float value : coverage) {
    area += value;
  }
  return area;
}

TEST(OutlineRaster, CoversTheShareOfEachPixel) {
  OutlineRaster raster(3);
  add_polygon(raster, {{0.25F, 0.5F}, {2.5F, 0.5F}, {2.5F, 2.0F}, {0.25F, 2.0F}});
  EXPECT_THAT(coverage_of(raster, 3), Pointwise(FloatNear(1e-6F), {0.375F, 0.5F, 0.25F, 0.75F, 1.0F,
                                                                   0.5F, 0.0F, 0.0F, 0.0F}));
}

TEST(OutlineRaster, CoversPartsOfPixelsUnderASlope) {
  OutlineRaster raster(2);
  // Below the line from the left end's middle to the lower right corner.
  add_polygon(raster, {{0.0F, 1.0F}, {2.0F, 2.0F}, {0.0F, 2.0F}});
  EXPECT_THAT(coverage_of(raster, 2), Pointwise(FloatNear(1e-6F), {0.0F, 0.0F, 0.75F, 0.25F}));
}

TEST(OutlineRaster, AddsUpToTheArea) {
  OutlineRaster raster(40);
  const std::vector<std::pair<float, float>> star = {{3.3F, 4.1F},   {38.7F, 9.2F}, {20.2F, 14.9F},
                                                     {31.4F, 39.6F}, {8.8F, 22.5F}, {0.0F, 40.0F}};
  double twice = 0.0;
  for (size_t i = 0; i < star.size(); ++i) {
    const auto& [x0, y0] = star[i];
    const auto& [x1, y1] = star[(i + 1) % star.size()];
    twice += double{x0} * y1 - double{x1} * y0;
  }
  add_polygon(raster, star);
  EXPECT_NEAR(area_of(coverage_of(raster, 40)), std::abs(twice) / 2, 1e-3);
}

TEST(OutlineRaster, ClearsItselfAndCountsOverlapsOnce) {
  OutlineRaster raster(4);
  add_polygon(raster, {{0.0F, 0.0F}, {3.0F, 0.0F}, {3.0F, 3.0F}, {0.0F, 3.0F}});
  add_polygon(raster, {{1.0F, 1.0F}, {4.0F, 1.0F}, {4.0F, 4.0F}, {1.0F, 4.0F}});
  EXPECT_NEAR(area_of(coverage_of(raster, 4)), 9 + 9 - 4, 1e-5);
  EXPECT_EQ(area_of(coverage_of(raster, 4)), 0.0);
}

std::vector<FontPoint> square(double low, double high, bool clockwise) {
  std::vector<FontPoint> points = {{low, low}, {high, low}, {high, high}, {low, high}};
  if (clockwise) {
    std::reverse(points.begin(), points.end());
  }
  return points;
}

class BothDirections : public testing::TestWithParam<bool> {};

TEST_P(BothDirections, NormalsPointOutOfTheInk) {
  // A square of 20 with a hole of 8, as TrueType (outer contours clockwise) and PostScript do.
  const auto outline = make_outline({square(0, 20, GetParam()), square(6, 14, !GetParam())});
  ASSERT_EQ(outline.points.size(), 8);
  EXPECT_THAT(outline.contour_ends, ElementsAre(4, 8));
  for (size_t i = 0; i < 8; ++i) {
    const auto& point = outline.points[i];
    const int outwards = i < 4 ? 1 : -1;  // the hole's ink is outside of it
    EXPECT_EQ(std::abs(point.x), i < 4 ? 8192 : 3277);
    EXPECT_EQ(point.normal_x, outwards * (point.x > 0 ? 8192 : -8192));
    EXPECT_EQ(point.normal_y, outwards * (point.y > 0 ? 8192 : -8192));
  }
}

INSTANTIATE_TEST_SUITE_P(Contours, BothDirections, testing::Bool(), [](const auto& clockwise) {
  return clockwise.param ? "TrueType" : "PostScript";
});

TEST(Outline, IsCentredAndPointsDown) {
  const auto outline = make_outline({{{100, 500}, {140, 500}, {140, 580}, {100, 580}}});
  // The lower left corner of a font's glyph is below on the left.
  EXPECT_EQ(outline.points[0].x, -4096);
  EXPECT_EQ(outline.points[0].y, 8192);
}

TEST(Outline, LeavesOutRepeatedPointsAndSlivers) {
  const auto outline =
      make_outline({{{0, 0}, {0, 0}, {4, 0}, {4, 4}, {4, 4}, {0, 0}}, {{1, 1}, {2, 2}}, {}});
  EXPECT_EQ(outline.points.size(), 3);
  EXPECT_THAT(outline.contour_ends, ElementsAre(3));
  EXPECT_TRUE(make_outline({}).points.empty());
}

TEST(Outline, SharpCornersStayShort) {
  const auto outline = make_outline({{{0, 0}, {1000, 1}, {0, 2}}});
  for (const auto& point : outline.points) {
    EXPECT_LE(std::hypot(point.normal_x, point.normal_y), 2.0 * 8192 + 1);
  }
}

TEST(Outline, EqualDrawingsHaveEqualKeys) {
  const auto a = make_outline({square(0, 20, false)});
  const auto scaled = make_outline({square(10, 50, false)});
  const auto other = make_outline({square(0, 20, false), square(5, 15, true)});
  EXPECT_EQ(outline_key(a), outline_key(scaled));
  EXPECT_NE(outline_key(a), outline_key(other));
}

}  // namespace
}  // namespace softmoe
