#include "datasets/characters/glyph_distortion.h"

#include <array>
#include <numbers>

namespace softmoe {
namespace {

constexpr float kMinInk = 0.75F;   // brightness of the ink is uniform from here to 1
constexpr float kMinBlur = 0.25F;  // pixels; less cannot be seen

/// A smooth field of shifts: uniform cubic B-splines over a grid of random control points.
/// Source: Simard et al., ICDAR 2003, for elastic distortion of characters.
class ElasticField {
 public:
  /// `max_shift` limits the shift of a control point.
  ElasticField(float max_shift, Rng& rng) {
    for (auto& value : shifts_) {
      value = max_shift * static_cast<float>(2.0 * rng.uniform() - 1.0);
    }
  }

  void move(float& x, float& y) const {
    std::array<float, 4> across;
    std::array<float, 4> down;
    const int column = weights(x, across);
    const int row = weights(y, down);
    float shift_x = 0.0F;
    float shift_y = 0.0F;
    for (int i = 0; i < 4; ++i) {
      const float* shifts = &shifts_[static_cast<size_t>(2 * ((row + i) * kGrid + column))];
      const float* w = across.data();
      shift_x +=
          down[i] * (w[0] * shifts[0] + w[1] * shifts[2] + w[2] * shifts[4] + w[3] * shifts[6]);
      shift_y +=
          down[i] * (w[0] * shifts[1] + w[1] * shifts[3] + w[2] * shifts[5] + w[3] * shifts[7]);
    }
    x += shift_x;
    y += shift_y;
  }

 private:
  static constexpr int kCells = 3;  // over [-kReach, kReach]
  static constexpr int kGrid = kCells + 3;
  static constexpr float kReach = 1.1F;  // wider strokes leave the glyph's box a little

  /// The first of the four control points around `position` and their weights.
  static int weights(float position, std::array<float, 4>& w) {
    const float at =
        std::clamp((position + kReach) * (kCells / (2.0F * kReach)), 0.0F, float{kCells});
    const int cell = std::min(static_cast<int>(at), kCells - 1);
    const float t = at - static_cast<float>(cell);
    const float s = 1.0F - t;
    w[0] = s * s * s * (1.0F / 6.0F);
    w[3] = t * t * t * (1.0F / 6.0F);
    w[1] = (2.0F / 3.0F) - t * t * (1.0F - 0.5F * t);
    w[2] = 1.0F - w[0] - w[1] - w[3];
    return cell;
  }

  std::array<float, 2 * kGrid * kGrid> shifts_;  // (x, y) by row and column
};

struct FramePoint {
  float x;
  float y;
};

/// Memory that a thread reuses for every picture.
struct DistortionScratch {
  explicit DistortionScratch(int frame)
      : size(frame), raster(frame), frame_pixels(static_cast<size_t>(frame * frame)) {}

  int size;
  OutlineRaster raster;
  std::vector<FramePoint> points;
  std::vector<float> frame_pixels;
  std::vector<float> padded;
  std::vector<float> kernel;
};

DistortionScratch& scratch(int size) {
  static thread_local std::unique_ptr<DistortionScratch> kept;
  if (!kept || kept->size != size) {
    kept = std::make_unique<DistortionScratch>(size);
  }
  return *kept;
}

double in_both_directions(double max, Rng& rng) { return max * (2.0 * rng.uniform() - 1.0); }

/// Stroke width, elastic field, then rotation, shear and stretch.
void distort(const GlyphView& glyph, const CharacterOptions& options, Rng& rng,
             std::vector<FramePoint>& points) {
  // Shares of the longer side, which is two units long.
  const auto thicken = static_cast<float>(2.0 * rng.uniform(-options.thinner, options.thicker));
  const ElasticField field(static_cast<float>(2.0 * options.elastic), rng);
  const double angle = in_both_directions(options.rotation, rng) * std::numbers::pi / 180.0;
  const double shear = in_both_directions(options.shear, rng);
  const double stretch = std::exp(0.5 * in_both_directions(std::log1p(options.stretch), rng));
  const auto xx = static_cast<float>(stretch * std::cos(angle));
  const auto xy = static_cast<float>(stretch * shear * std::cos(angle) - std::sin(angle) / stretch);
  const auto yx = static_cast<float>(stretch * std::sin(angle));
  const auto yy = static_cast<float>(stretch * shear * std::sin(angle) + std::cos(angle) / stretch);
  points.resize(glyph.points.size());
  for (size_t i = 0; i < points.size(); ++i) {
    const OutlinePoint& from = glyph.points[i];
    float x = (static_cast<float>(from.x) + thicken * static_cast<float>(from.normal_x)) *
              (1.0F / kOutlineUnit);
    float y = (static_cast<float>(from.y) + thicken * static_cast<float>(from.normal_y)) *
              (1.0F / kOutlineUnit);
    field.move(x, y);
    points[i] = {xx * x + xy * y, yx * x + yy * y};
  }
}

/// Scales the points so that the longer side of their box is a random share of the frame, and
/// shifts the box within the margin.
void fit_to_frame(const CharacterOptions& options, Rng& rng, std::vector<FramePoint>& points) {
  FramePoint low = points.front();
  FramePoint high = points.front();
  for (const FramePoint& point : points) {
    low = {std::min(low.x, point.x), std::min(low.y, point.y)};
    high = {std::max(high.x, point.x), std::max(high.y, point.y)};
  }
  const double share = rng.uniform(options.fill_min, options.fill_max);
  const auto side = static_cast<double>(options.size);
  const auto scale = static_cast<float>(share * side / std::max(high.x - low.x, high.y - low.y));
  const double margin = 0.5 * (1.0 - share) * side;
  const auto centre_x = static_cast<float>(0.5 * side + in_both_directions(margin, rng));
  const auto centre_y = static_cast<float>(0.5 * side + in_both_directions(margin, rng));
  const float middle_x = 0.5F * (low.x + high.x);
  const float middle_y = 0.5F * (low.y + high.y);
  const auto last = static_cast<float>(side);
  for (FramePoint& point : points) {
    point.x = std::clamp(centre_x + scale * (point.x - middle_x), 0.0F, last);
    point.y = std::clamp(centre_y + scale * (point.y - middle_y), 0.0F, last);
  }
}

void fill(const GlyphView& glyph, DistortionScratch& memory) {
  uint32_t begin = 0;
  for (const uint32_t end : glyph.contour_ends) {
    FramePoint previous = memory.points[end - 1];
    for (uint32_t i = begin; i < end; ++i) {
      const FramePoint point = memory.points[i];
      memory.raster.add_edge(previous.x, previous.y, point.x, point.y);
      previous = point;
    }
    begin = end;
  }
  memory.raster.take_coverage(memory.frame_pixels.data());
}

/// Gaussian blur with black beyond the frame; `deviation` in pixels.
void blur(float deviation, DistortionScratch& memory) {
  const int size = memory.size;
  const int radius = static_cast<int>(std::ceil(2.5F * deviation));
  auto& kernel = memory.kernel;
  kernel.resize(static_cast<size_t>(2 * radius + 1));
  float sum = 0.0F;
  for (int i = -radius; i <= radius; ++i) {
    const float distance = static_cast<float>(i) / deviation;
    kernel[static_cast<size_t>(i + radius)] = std::exp(-0.5F * distance * distance);
    sum += kernel[static_cast<size_t>(i + radius)];
  }
  for (auto& weight : kernel) {
    weight /= sum;
  }
  auto& padded = memory.padded;
  float* frame = memory.frame_pixels.data();
  // Vertical pass: a weighted sum of rows of the padded frame.
  padded.assign(static_cast<size_t>((size + 2 * radius) * size), 0.0F);
  std::copy(frame, frame + size * size, padded.begin() + static_cast<ptrdiff_t>(radius) * size);
  std::fill(frame, frame + size * size, 0.0F);
  for (int tap = 0; tap <= 2 * radius; ++tap) {
    const float weight = kernel[static_cast<size_t>(tap)];
    const float* from = padded.data() + static_cast<ptrdiff_t>(tap) * size;
    for (int i = 0; i < size * size; ++i) {
      frame[i] += weight * from[i];
    }
  }
  // Horizontal pass, on rows with margins.
  const int stride = size + 2 * radius;
  padded.assign(static_cast<size_t>(stride * size), 0.0F);
  for (int row = 0; row < size; ++row) {
    std::copy(frame + row * size, frame + (row + 1) * size, padded.begin() + row * stride + radius);
  }
  for (int row = 0; row < size; ++row) {
    float* to = frame + row * size;
    std::fill(to, to + size, 0.0F);
    for (int tap = 0; tap <= 2 * radius; ++tap) {
      const float weight = kernel[static_cast<size_t>(tap)];
      const float* from = padded.data() + row * stride + tap;
      for (int x = 0; x < size; ++x) {
        to[x] += weight * from[x];
      }
    }
  }
}

/// Brightness and noise; the noise of a pixel is a sum of four uniform numbers (Irwin-Hall), which
/// is close to normal and costs one draw.
void write_pixels(const DistortionScratch& memory, float ink, float noise, Rng& rng,
                  uint8_t* pixels) {
  constexpr float kMean = 2.0F * 65535.0F;
  const float scale = 255.0F * noise / (65536.0F * std::sqrt(4.0F / 12.0F));
  uint64_t key = rng();
  for (size_t i = 0; i < memory.frame_pixels.size(); ++i) {
    const uint64_t draw = splitmix64(key++);
    const auto sum = static_cast<int>((draw & 0xFFFF) + ((draw >> 16) & 0xFFFF) +
                                      ((draw >> 32) & 0xFFFF) + (draw >> 48));
    const float value =
        255.0F * ink * memory.frame_pixels[i] + scale * (static_cast<float>(sum) - kMean) + 0.5F;
    pixels[i] = static_cast<uint8_t>(std::clamp(value, 0.0F, 255.0F));
  }
}

}  // namespace

void render_glyph(const GlyphView& glyph, const CharacterOptions& options, Rng& rng,
                  uint8_t* pixels) {
  DistortionScratch& memory = scratch(static_cast<int>(options.size));
  distort(glyph, options, rng, memory.points);
  fit_to_frame(options, rng, memory.points);
  fill(glyph, memory);
  const auto deviation =
      static_cast<float>(rng.uniform(0.0, options.blur) * static_cast<double>(options.size));
  if (deviation >= kMinBlur) {
    blur(deviation, memory);
  }
  const auto ink = static_cast<float>(rng.uniform(kMinInk, 1.0));
  const auto noise = static_cast<float>(rng.uniform(0.0, options.noise));
  write_pixels(memory, ink, noise, rng, pixels);
}

}  // namespace softmoe
