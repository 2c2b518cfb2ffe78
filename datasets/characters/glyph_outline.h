#pragma once
/// Outlines of glyphs as closed polylines, ready to be distorted and filled.

#include <cstdint>
#include <span>
#include <vector>

namespace softmoe {

/// A point of an outline. The glyph's box is centred on 0 and its longer side spans
/// [-kOutlineUnit, kOutlineUnit]; y points down.
struct OutlinePoint {
  int16_t x;
  int16_t y;
  int16_t normal_x;  ///< outwards, scaled by kOutlineUnit: moving every point by t times its normal
  int16_t normal_y;  ///< makes each stroke wider by 2 t
};
inline constexpr float kOutlineUnit = 8192.0F;

/// Closed polylines in one array of points.
struct Outline {
  std::vector<OutlinePoint> points;
  std::vector<uint32_t> contour_ends;  ///< one past the last point of each contour
};

/// A point in the units of a font, y up.
struct FontPoint {
  double x;
  double y;
};

/// Scales closed contours of font points to the frame of an Outline and computes the normals.
/// Contours of fewer than three points are left out; an empty outline has no points.
Outline make_outline(const std::vector<std::vector<FontPoint>>& contours);

/// A key of the outline's shape; the same drawing in two fonts gives the same key.
uint64_t outline_key(const Outline& outline);

/// Fills polylines on a square frame by exact area coverage.
class OutlineRaster {
 public:
  explicit OutlineRaster(int size);

  /// Adds the edge from (x0, y0) to (x1, y1) in pixels; all edges together must form closed lines
  /// inside the frame [0, size].
  void add_edge(float x0, float y0, float x1, float y1);

  /// Writes the share of each pixel that is inside, in [0, 1], to `coverage` [size, size], and
  /// clears the frame for the next outline.
  void take_coverage(float* coverage);

 private:
  void add_row_span(int row, float x0, float x1, float height);

  int size_;
  int stride_;
  std::vector<float> cells_;  // change of the covered area from each cell to the one on its right
};

}  // namespace softmoe
