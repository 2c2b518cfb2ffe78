#include "datasets/characters/glyph_outline.h"

#include <xxhash.h>

namespace softmoe {
namespace {

constexpr double kMaxNormal = 2.0;  // normals of sharp corners would be longer

/// Twice the signed area, positive for a contour that runs counterclockwise.
double signed_area(const std::vector<FontPoint>& contour) {
  double area = 0.0;
  for (size_t i = 0; i < contour.size(); ++i) {
    const auto& a = contour[i];
    const auto& b = contour[(i + 1) % contour.size()];
    area += a.x * b.y - b.x * a.y;
  }
  return area;
}

FontPoint unit_edge(const FontPoint& from, const FontPoint& to) {
  const double length = std::hypot(to.x - from.x, to.y - from.y);
  return {(to.x - from.x) / length, (to.y - from.y) / length};
}

/// The shift of the corner between two edges if both move outwards by one.
FontPoint corner_normal(const FontPoint& in, const FontPoint& out, double outside) {
  const FontPoint sum{outside * (in.y + out.y), -outside * (in.x + out.x)};
  const double cosine = in.x * out.x + in.y * out.y;
  const double scale = 1.0 / std::max(1.0 + cosine, 1e-6);
  const double length = std::hypot(sum.x, sum.y) * scale;
  const double shorten = scale * (length > kMaxNormal ? kMaxNormal / length : 1.0);
  return {sum.x * shorten, sum.y * shorten};
}

std::vector<FontPoint> without_repeats(const std::vector<FontPoint>& contour) {
  std::vector<FontPoint> kept;
  for (const auto& point : contour) {
    if (kept.empty() || point.x != kept.back().x || point.y != kept.back().y) {
      kept.push_back(point);
    }
  }
  while (kept.size() > 1 && kept.front().x == kept.back().x && kept.front().y == kept.back().y) {
    kept.pop_back();
  }
  return kept;
}

int16_t to_units(double value) { return static_cast<int16_t>(std::lround(value * kOutlineUnit)); }

}  // namespace

Outline make_outline(const std::vector<std::vector<FontPoint>>& contours) {
  std::vector<std::vector<FontPoint>> kept;
  double area = 0.0;
  FontPoint low{1e30, 1e30};
  FontPoint high{-1e30, -1e30};
  for (const auto& contour : contours) {
    auto points = without_repeats(contour);
    if (points.size() < 3) {
      continue;
    }
    area += signed_area(points);
    for (const auto& point : points) {
      low = {std::min(low.x, point.x), std::min(low.y, point.y)};
      high = {std::max(high.x, point.x), std::max(high.y, point.y)};
    }
    kept.push_back(std::move(points));
  }
  Outline outline;
  const double half = 0.5 * std::max(high.x - low.x, high.y - low.y);
  if (kept.empty() || half <= 0.0) {
    return outline;
  }
  // Outer contours run clockwise in TrueType fonts and counterclockwise in PostScript ones.
  const double outside = area >= 0.0 ? 1.0 : -1.0;
  const FontPoint centre{0.5 * (low.x + high.x), 0.5 * (low.y + high.y)};
  for (const auto& points : kept) {
    for (size_t i = 0; i < points.size(); ++i) {
      const auto& previous = points[(i + points.size() - 1) % points.size()];
      const auto& next = points[(i + 1) % points.size()];
      const FontPoint normal =
          corner_normal(unit_edge(previous, points[i]), unit_edge(points[i], next), outside);
      outline.points.push_back({to_units((points[i].x - centre.x) / half),
                                to_units((centre.y - points[i].y) / half), to_units(normal.x),
                                to_units(-normal.y)});
    }
    outline.contour_ends.push_back(static_cast<uint32_t>(outline.points.size()));
  }
  return outline;
}

uint64_t outline_key(const Outline& outline) {
  return XXH3_64bits(outline.points.data(), outline.points.size() * sizeof(OutlinePoint));
}

OutlineRaster::OutlineRaster(int size)
    : size_(size),
      stride_(size + 2),
      cells_(static_cast<size_t>(size) * static_cast<size_t>(stride_), 0.0F) {}

void OutlineRaster::add_edge(float x0, float y0, float x1, float y1) {
  if (y0 == y1) {
    return;
  }
  const float direction = y0 < y1 ? 1.0F : -1.0F;
  if (y0 > y1) {
    std::swap(x0, x1);
    std::swap(y0, y1);
  }
  const float slope = (x1 - x0) / (y1 - y0);
  const int last = std::min(static_cast<int>(std::ceil(y1)), size_);
  float x = x0;
  for (int row = static_cast<int>(y0); row < last; ++row) {
    const float top = std::max(static_cast<float>(row), y0);
    const float bottom = std::min(static_cast<float>(row + 1), y1);
    const float next_x = bottom == y1 ? x1 : x0 + slope * (bottom - y0);
    add_row_span(row, x, next_x, direction * (bottom - top));
    x = next_x;
  }
}

// An edge covers what lies to its right. Within one row, from x0 to x1 while it descends by
// `height`, the covered part of cell c is 0 before the edge, `height` behind it, and in between the
// integral of the part of the cell that is right of the edge.
void OutlineRaster::add_row_span(int row, float x0, float x1, float height) {
  const float left = std::min(x0, x1);
  const float right = std::max(x0, x1);
  const int first = static_cast<int>(left);
  float* cells = cells_.data() + static_cast<ptrdiff_t>(row) * stride_;
  if (right <= static_cast<float>(first + 1)) {
    const float inside = 0.5F * (left + right) - static_cast<float>(first);
    cells[first] += height * (1.0F - inside);
    cells[first + 1] += height * inside;
    return;
  }
  const int last = static_cast<int>(right);
  const float density = height / (right - left);
  const float entry = static_cast<float>(first + 1) - left;
  float before = 0.5F * density * entry * entry;
  cells[first] += before;
  for (int cell = first + 1; cell < last; ++cell) {
    const float covered = density * (static_cast<float>(cell) - left + 0.5F);
    cells[cell] += covered - before;
    before = covered;
  }
  const float exit = right - static_cast<float>(last);
  const float covered = height - 0.5F * density * exit * exit;
  cells[last] += covered - before;
  cells[last + 1] += height - covered;
}

void OutlineRaster::take_coverage(float* coverage) {
  for (int row = 0; row < size_; ++row) {
    float* cells = cells_.data() + static_cast<ptrdiff_t>(row) * stride_;
    float sum = 0.0F;
    for (int x = 0; x < size_; ++x) {
      sum += cells[x];
      // Contours that overlap wind more than once around a pixel.
      coverage[row * size_ + x] = std::min(std::abs(sum), 1.0F);
    }
  }
  std::fill(cells_.begin(), cells_.end(), 0.0F);
}

}  // namespace softmoe
