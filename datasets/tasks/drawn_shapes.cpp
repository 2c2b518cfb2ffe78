#include "datasets/tasks/drawn_shapes.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <opencv2/imgproc.hpp>
#include <string_view>

#include "core/error.h"

namespace softmoe {
namespace {

/// Corners of a shape, in a circle of radius 1 around 0.
using Outline = std::vector<cv::Point2d>;

/// `count` corners at equal angles, the first at the top, at the radii `even` and `odd` in turns.
Outline star_outline(int count, double even, double odd) {
  Outline outline;
  for (int corner = 0; corner < count; ++corner) {
    const double angle = 2 * std::numbers::pi * corner / count - std::numbers::pi / 2;
    const double radius = corner % 2 == 0 ? even : odd;
    outline.emplace_back(radius * std::cos(angle), radius * std::sin(angle));
  }
  return outline;
}

Outline circle_outline() { return star_outline(48, 1, 1); }
Outline square_outline() { return {{-0.75, -0.75}, {0.75, -0.75}, {0.75, 0.75}, {-0.75, 0.75}}; }
Outline triangle_outline() { return star_outline(3, 1, 1); }
Outline five_pointed_outline() { return star_outline(10, 1, 0.42); }
Outline cross_outline() {
  constexpr double kIn = 0.28;
  constexpr double kOut = 0.9;
  return {{-kIn, -kOut}, {kIn, -kOut}, {kIn, -kIn}, {kOut, -kIn}, {kOut, kIn},   {kIn, kIn},
          {kIn, kOut},   {-kIn, kOut}, {-kIn, kIn}, {-kOut, kIn}, {-kOut, -kIn}, {-kIn, -kIn}};
}
Outline arrow_outline() {
  return {{0, -1},      {0.7, -0.2},   {0.28, -0.2}, {0.28, 0.9},
          {-0.28, 0.9}, {-0.28, -0.2}, {-0.7, -0.2}};
}
Outline half_outline() {
  Outline outline;
  for (int corner = 0; corner <= 24; ++corner) {
    const double angle = std::numbers::pi * (1.0 + corner / 24.0);
    outline.emplace_back(std::cos(angle), std::sin(angle) + 0.4);
  }
  return outline;
}
Outline diamond_outline() { return {{0, -1}, {0.62, 0}, {0, 1}, {-0.62, 0}}; }

struct ShapeRow {
  std::string_view name;
  Outline (*outline)();
  bool is_symmetric;  ///< a turned one may look the same
  bool has_hole = false;
};
constexpr std::array<ShapeRow, 9> kShapes{{{"circle", circle_outline, true},
                                           {"square", square_outline, true},
                                           {"triangle", triangle_outline, false},
                                           {"star", five_pointed_outline, false},
                                           {"cross", cross_outline, true},
                                           {"arrow", arrow_outline, false},
                                           {"half moon", half_outline, false},
                                           {"diamond", diamond_outline, true},
                                           {"ring", circle_outline, true, true}}};

struct ColourRow {
  std::string_view name;
  std::array<int, 3> rgb;
};
constexpr std::array<ColourRow, 7> kColours{{{"red", {215, 40, 40}},
                                             {"green", {40, 160, 60}},
                                             {"blue", {50, 80, 215}},
                                             {"yellow", {235, 210, 50}},
                                             {"purple", {145, 55, 170}},
                                             {"orange", {240, 135, 30}},
                                             {"pink", {245, 150, 190}}}};

struct SizeRow {
  std::string_view name;
  double min_radius;  ///< as a share of half the region
  double max_radius;
};
constexpr std::array<SizeRow, 2> kSizes{{{"small", 0.40, 0.52}, {"large", 0.82, 0.98}}};

constexpr size_t kShape = 0;
constexpr size_t kColour = 1;
constexpr size_t kSize = 2;

template <typename Rows>
std::vector<std::string> names_of(const Rows& rows) {
  std::vector<std::string> names;
  for (const auto& row : rows) {
    names.emplace_back(row.name);
  }
  return names;
}

/// An attribute with the names of `rows` as its values.
template <typename Rows>
ItemAttribute drawn_attribute(const std::string& name, const Rows& rows) {
  ItemAttribute attribute{.name = name, .words = names_of(rows), .values = {}};
  for (int64_t value = 0; value < std::ssize(rows); ++value) {
    attribute.values.push_back(value);
  }
  return attribute;
}

/// `rgb` in a shade that `rng` draws.
cv::Scalar shaded(const std::array<int, 3>& rgb, Rng& rng) {
  constexpr double kShade = 14;
  const auto part = [&](int value) {
    return std::clamp(value + rng.uniform(-kShade, kShade), 0.0, 255.0);
  };
  const double red = part(rgb[0]);
  const double green = part(rgb[1]);
  return {red, green, part(rgb[2])};
}

/// Fills `outline` of `radius` pixels, turned by `angle`, in the middle of `region`.
void fill_outline(cv::Mat& region, const Outline& outline, double radius, double angle,
                  const cv::Scalar& colour) {
  constexpr int kShift = 4;  // bits behind the point
  constexpr double kUnit = 1 << kShift;
  const double middle_x = (region.cols - 1) / 2.0;
  const double middle_y = (region.rows - 1) / 2.0;
  std::vector<cv::Point> corners;
  for (const auto& point : outline) {
    const double x = point.x * std::cos(angle) - point.y * std::sin(angle);
    const double y = point.x * std::sin(angle) + point.y * std::cos(angle);
    corners.emplace_back(static_cast<int>(std::lround((middle_x + radius * x) * kUnit)),
                         static_cast<int>(std::lround((middle_y + radius * y) * kUnit)));
  }
  cv::fillPoly(region, std::vector<std::vector<cv::Point>>{corners}, colour, cv::LINE_AA, kShift);
}

}  // namespace

DrawnShapes::DrawnShapes()
    : attributes_{drawn_attribute("shape", kShapes), drawn_attribute("colour", kColours),
                  drawn_attribute("size", kSizes)} {}

Item DrawnShapes::draw(const std::vector<ItemWish>& wishes, Rng& rng) const {
  Item item;
  for (int64_t attribute = 0; attribute < std::ssize(attributes_); ++attribute) {
    const auto count = std::ssize(attributes_[static_cast<size_t>(attribute)].words);
    std::vector<int64_t> allowed;
    for (int64_t value = 0; value < count; ++value) {
      if (std::all_of(wishes.begin(), wishes.end(), [&](const ItemWish& wish) {
            return wish.attribute != attribute || (wish.value == value) == wish.is_value;
          })) {
        allowed.push_back(value);
      }
    }
    if (allowed.empty()) {
      throw InputError(kShapeSource, "a shape that a task can show", "none");
    }
    item.values.push_back(allowed[static_cast<size_t>(rng.below(std::ssize(allowed)))]);
  }
  item.key = rng();
  return item;
}

void DrawnShapes::paint(const Item& item, cv::Mat region) const {
  Rng rng(item.key);
  const auto& shape = kShapes[static_cast<size_t>(item.values[kShape])];
  const auto& size = kSizes[static_cast<size_t>(item.values[kSize])];
  const double radius = rng.uniform(size.min_radius, size.max_radius) * region.cols / 2.0;
  constexpr double kMaxTurn = 0.2;  // radians
  const double angle = rng.uniform(-kMaxTurn, kMaxTurn);
  const auto behind = region.at<cv::Vec3b>(region.rows / 2, region.cols / 2);
  const auto colour = shaded(kColours[static_cast<size_t>(item.values[kColour])].rgb, rng);
  fill_outline(region, shape.outline(), radius, angle, colour);
  if (shape.has_hole) {
    constexpr double kHole = 0.55;
    fill_outline(region, shape.outline(), radius * kHole, angle,
                 {static_cast<double>(behind[0]), static_cast<double>(behind[1]),
                  static_cast<double>(behind[2])});
  }
}

cv::Scalar DrawnShapes::background(Rng& rng) const {
  const double dark = rng.uniform(10, 50);
  const double light = rng.uniform(215, 250);
  const double gray = rng.below(2) == 0 ? dark : light;
  return {gray, gray, gray};
}

std::string DrawnShapes::caption(const Item& item) const {
  const auto word = [&](size_t attribute) {
    return attributes_[attribute].words[static_cast<size_t>(item.values[attribute])];
  };
  return "a " + word(kSize) + " " + word(kColour) + " " + word(kShape);
}

bool DrawnShapes::is_symmetric(const Item& item) const {
  return kShapes[static_cast<size_t>(item.values[kShape])].is_symmetric;
}

}  // namespace softmoe
