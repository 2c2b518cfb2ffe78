#include "datasets/characters/font_face.h"

#include <c10/util/Exception.h>
#include <ft2build.h>
#include FT_FREETYPE_H
#include FT_OUTLINE_H

#include <array>

#include "core/error.h"
#include "core/lower_case.h"
#include "core/rng.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSystemFonts = "/usr/share/fonts";
constexpr std::array<std::string_view, 6> kExtensions = {".ttf", ".otf", ".ttc",
                                                         ".otc", ".pfb", ".pfa"};

// Max lengths of edges as shares of the glyph's longer side. Straight lines are divided, too, so
// that the elastic field can bend them.
constexpr double kCurveStep = 0.03;
constexpr double kLineStep = 0.08;

using LibraryHandle = std::shared_ptr<FT_LibraryRec_>;

LibraryHandle open_library() {
  FT_Library library = nullptr;
  TORCH_CHECK(FT_Init_FreeType(&library) == 0, "FreeType does not start");
  return {library, [](FT_Library handle) { FT_Done_FreeType(handle); }};
}

/// Collects the contours that FT_Outline_Decompose walks along.
struct Flattener {
  std::vector<std::vector<FontPoint>> contours;
  double side;

  static FontPoint point(const FT_Vector* vector) {
    return {static_cast<double>(vector->x), static_cast<double>(vector->y)};
  }

  int steps(double length, double step) const {
    return std::max(1, static_cast<int>(std::ceil(length / (step * side))));
  }

  void line_to(FontPoint to) {
    auto& contour = contours.back();
    const FontPoint from = contour.back();
    const int count = steps(std::hypot(to.x - from.x, to.y - from.y), kLineStep);
    for (int i = 1; i <= count; ++i) {
      const double t = static_cast<double>(i) / count;
      contour.push_back({from.x + t * (to.x - from.x), from.y + t * (to.y - from.y)});
    }
  }

  /// A cubic Bezier curve; its control polygon is never shorter than the curve.
  void curve_to(FontPoint a, FontPoint b, FontPoint to) {
    auto& contour = contours.back();
    const FontPoint from = contour.back();
    const double length = std::hypot(a.x - from.x, a.y - from.y) +
                          std::hypot(b.x - a.x, b.y - a.y) + std::hypot(to.x - b.x, to.y - b.y);
    const int count = std::max(2, steps(length, kCurveStep));
    for (int i = 1; i <= count; ++i) {
      const double t = static_cast<double>(i) / count;
      const double s = 1.0 - t;
      const double w0 = s * s * s;
      const double w1 = 3.0 * s * s * t;
      const double w2 = 3.0 * s * t * t;
      const double w3 = t * t * t;
      contour.push_back({w0 * from.x + w1 * a.x + w2 * b.x + w3 * to.x,
                         w0 * from.y + w1 * a.y + w2 * b.y + w3 * to.y});
    }
  }

  /// Closes the last contour.
  void close() {
    if (!contours.empty()) {
      line_to(contours.back().front());
    }
  }
};

int on_move(const FT_Vector* to, void* user) {
  auto* flattener = static_cast<Flattener*>(user);
  flattener->close();
  flattener->contours.push_back({Flattener::point(to)});
  return 0;
}

int on_line(const FT_Vector* to, void* user) {
  static_cast<Flattener*>(user)->line_to(Flattener::point(to));
  return 0;
}

int on_conic(const FT_Vector* control, const FT_Vector* to, void* user) {
  auto* flattener = static_cast<Flattener*>(user);
  const FontPoint from = flattener->contours.back().back();
  const FontPoint middle = Flattener::point(control);
  const FontPoint end = Flattener::point(to);
  const auto towards = [&middle](const FontPoint& point) {
    return FontPoint{point.x + (middle.x - point.x) * 2.0 / 3.0,
                     point.y + (middle.y - point.y) * 2.0 / 3.0};
  };
  flattener->curve_to(towards(from), towards(end), end);
  return 0;
}

int on_cubic(const FT_Vector* a, const FT_Vector* b, const FT_Vector* to, void* user) {
  static_cast<Flattener*>(user)->curve_to(Flattener::point(a), Flattener::point(b),
                                          Flattener::point(to));
  return 0;
}

class FreeTypeFace : public FontFace {
 public:
  FreeTypeFace(LibraryHandle library, FT_Face face) : library_(std::move(library)), face_(face) {}
  ~FreeTypeFace() override { FT_Done_Face(face_); }
  FreeTypeFace(const FreeTypeFace&) = delete;
  FreeTypeFace& operator=(const FreeTypeFace&) = delete;

  std::string style() const override {
    const std::string name =
        face_->style_name == nullptr ? "" : lower_case(std::string(face_->style_name));
    const auto is_called = [&name](const char* word) { return name.find(word) != name.npos; };
    std::string words;
    const auto add = [&words](bool holds, const char* word) {
      words += !holds ? "" : words.empty() ? word : std::string(", ") + word;
    };
    add((face_->style_flags & FT_STYLE_FLAG_BOLD) != 0 || is_called("bold") || is_called("black"),
        "bold");
    add(is_called("light") || is_called("thin"), "light");
    add((face_->style_flags & FT_STYLE_FLAG_ITALIC) != 0 || is_called("oblique"), "slanted");
    add(is_called("condensed"), "condensed");
    add(FT_IS_FIXED_WIDTH(face_), "monospaced");
    return words;
  }

  uint32_t glyph_of(char32_t code) const override { return FT_Get_Char_Index(face_, code); }

  uint64_t shape_key(uint32_t glyph) const override {
    if (!load(glyph)) {
      return 0;
    }
    const FT_Outline& drawing = face_->glyph->outline;
    uint64_t key = 1;
    for (int point = 0; point < drawing.n_points; ++point) {
      key = splitmix64(key ^ static_cast<uint64_t>(drawing.points[point].x));
      key = splitmix64(key ^ static_cast<uint64_t>(drawing.points[point].y));
      key ^= static_cast<uint64_t>(drawing.tags[point]);
    }
    for (int contour = 0; contour < drawing.n_contours; ++contour) {
      key = splitmix64(key ^ static_cast<uint64_t>(drawing.contours[contour]));
    }
    return key;
  }

  Outline outline(uint32_t glyph) const override {
    if (!load(glyph)) {
      return {};
    }
    FT_Outline& drawing = face_->glyph->outline;
    FT_BBox box;
    FT_Outline_Get_CBox(&drawing, &box);
    const auto side = static_cast<double>(std::max(box.xMax - box.xMin, box.yMax - box.yMin));
    if (drawing.n_contours == 0 || side <= 0.0) {
      return {};
    }
    Flattener flattener{.contours = {}, .side = side};
    const FT_Outline_Funcs walk = {on_move, on_line, on_conic, on_cubic, 0, 0};
    if (FT_Outline_Decompose(&drawing, &walk, &flattener) != 0) {
      return {};
    }
    flattener.close();
    return make_outline(flattener.contours);
  }

 private:
  /// Loads a glyph in units of the font; returns false if it has no outline.
  bool load(uint32_t glyph) const {
    return FT_Load_Glyph(face_, glyph, FT_LOAD_NO_SCALE) == 0 &&
           face_->glyph->format == FT_GLYPH_FORMAT_OUTLINE;
  }

  LibraryHandle library_;  // outlives the face
  FT_Face face_;
};

void add_fonts(const fs::path& folder, std::vector<fs::path>& fonts) {
  const auto options = fs::directory_options::follow_directory_symlink |
                       fs::directory_options::skip_permission_denied;
  for (const auto& entry : fs::recursive_directory_iterator(folder, options)) {
    const auto extension = lower_case(entry.path().extension().string());
    if (std::find(kExtensions.begin(), kExtensions.end(), extension) != kExtensions.end()) {
      fonts.push_back(entry.path());
    }
  }
}

}  // namespace

std::vector<fs::path> find_fonts(const std::string& font_dir) {
  std::vector<fs::path> fonts;
  if (fs::is_directory(kSystemFonts)) {
    add_fonts(kSystemFonts, fonts);
  }
  if (!font_dir.empty()) {
    if (!fs::is_directory(font_dir)) {
      throw InputError("font-dir " + font_dir, "a folder of font files", "no such folder");
    }
    add_fonts(font_dir, fonts);
  }
  std::sort(fonts.begin(), fonts.end());
  fonts.erase(std::unique(fonts.begin(), fonts.end()), fonts.end());
  return fonts;
}

std::vector<std::unique_ptr<FontFace>> open_faces(const fs::path& path) {
  static thread_local const LibraryHandle library = open_library();
  std::vector<std::unique_ptr<FontFace>> faces;
  FT_Long count = 1;
  for (FT_Long index = 0; index < count; ++index) {
    FT_Face face = nullptr;
    if (FT_New_Face(library.get(), path.c_str(), index, &face) != 0) {
      break;
    }
    count = face->num_faces;
    auto opened = std::make_unique<FreeTypeFace>(library, face);
    if (FT_IS_SCALABLE(face) && face->charmap != nullptr) {
      faces.push_back(std::move(opened));
    }
  }
  return faces;
}

}  // namespace softmoe
