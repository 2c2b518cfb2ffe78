#include "datasets/characters/confusable_letters.h"

#include <array>
#include <map>
#include <numeric>

namespace softmoe {
namespace {

constexpr int kRasterSide = 16;
constexpr int kRasterPixels = kRasterSide * kRasterSide;

// Two drawings are alike if the ink that only one of them has is at most this share of their mean
// ink.
constexpr double kAlike = 0.10;

/// A small picture of a drawing and the sum of its pixels.
struct Thumbnail {
  std::array<uint8_t, kRasterPixels> pixels;
  int ink;
};

Thumbnail draw(const GlyphView& glyph) {
  static thread_local OutlineRaster raster(kRasterSide);
  constexpr float kScale = 0.5F * (kRasterSide - 1) / kOutlineUnit;
  constexpr float kCentre = 0.5F * kRasterSide;
  uint32_t begin = 0;
  for (const uint32_t end : glyph.contour_ends) {
    const auto* previous = &glyph.points[end - 1];
    for (uint32_t i = begin; i < end; ++i) {
      const auto* point = &glyph.points[i];
      raster.add_edge(kCentre + kScale * previous->x, kCentre + kScale * previous->y,
                      kCentre + kScale * point->x, kCentre + kScale * point->y);
      previous = point;
    }
    begin = end;
  }
  std::array<float, kRasterPixels> coverage;
  raster.take_coverage(coverage.data());
  Thumbnail thumbnail{};
  for (int i = 0; i < kRasterPixels; ++i) {
    thumbnail.pixels[i] = static_cast<uint8_t>(std::lround(255.0F * coverage[i]));
    thumbnail.ink += thumbnail.pixels[i];
  }
  return thumbnail;
}

int difference(const Thumbnail& a, const Thumbnail& b) {
  int sum = 0;
  for (int i = 0; i < kRasterPixels; ++i) {
    sum += std::abs(int{a.pixels[i]} - int{b.pixels[i]});
  }
  return sum;
}

using LetterPair = std::pair<uint32_t, uint32_t>;

/// Adds one to the count of every pair of letters that `face` draws alike.
void count_alike(const std::vector<LetterGlyph>& face,
                 const std::function<GlyphView(uint32_t)>& view,
                 std::map<LetterPair, int64_t>& alike) {
  std::vector<Thumbnail> thumbnails;
  thumbnails.reserve(face.size());
  for (const auto& drawn : face) {
    thumbnails.push_back(draw(view(drawn.glyph)));
  }
  // Drawings with very different ink cannot be alike, so most comparisons are not needed.
  std::vector<size_t> by_ink(face.size());
  std::iota(by_ink.begin(), by_ink.end(), size_t{0});
  std::sort(by_ink.begin(), by_ink.end(), [&thumbnails](size_t a, size_t b) {
    return std::pair(thumbnails[a].ink, a) < std::pair(thumbnails[b].ink, b);
  });
  for (size_t i = 0; i < by_ink.size(); ++i) {
    const Thumbnail& a = thumbnails[by_ink[i]];
    for (size_t j = i + 1; j < by_ink.size(); ++j) {
      const Thumbnail& b = thumbnails[by_ink[j]];
      const double limit = kAlike * 0.5 * (a.ink + b.ink);
      if (b.ink - a.ink > limit) {
        break;
      }
      if (difference(a, b) <= limit) {
        const auto [first, second] = std::minmax(face[by_ink[i]].letter, face[by_ink[j]].letter);
        ++alike[{first, second}];
      }
    }
  }
}

}  // namespace

void drop_confusable_letters(const std::vector<std::vector<LetterGlyph>>& faces,
                             const std::function<GlyphView(uint32_t)>& view,
                             std::vector<bool>& kept) {
  std::map<LetterPair, int64_t> alike;
  std::vector<std::vector<uint32_t>> faces_of(kept.size());
  for (size_t face = 0; face < faces.size(); ++face) {
    std::vector<LetterGlyph> drawn;
    for (const auto& glyph : faces[face]) {
      if (kept[glyph.letter]) {
        drawn.push_back(glyph);
        faces_of[glyph.letter].push_back(static_cast<uint32_t>(face));
      }
    }
    count_alike(drawn, view, alike);
  }
  for (const auto& [letters, count] : alike) {
    const auto [first, second] = letters;
    std::vector<uint32_t> common;
    std::set_intersection(faces_of[first].begin(), faces_of[first].end(), faces_of[second].begin(),
                          faces_of[second].end(), std::back_inserter(common));
    if (kept[first] && 2 * count > std::ssize(common)) {
      kept[second] = false;
    }
  }
}

}  // namespace softmoe
