#include "analysis/dispatch_maps.h"

#include <fmt/format.h>

#include <numeric>
#include <opencv2/imgproc.hpp>

#include "core/tensor_check.h"
#include "softmoe/routers.h"

namespace softmoe {
namespace {

const cv::Scalar kBackground(20, 23, 27);
const cv::Scalar kText(214, 219, 226);
const cv::Scalar kFaintText(140, 148, 158);
constexpr int kGap = 8;
constexpr int kGutter = 66;        // px, for the names of the rows
constexpr int kHeader = 24;        // px, for the names of the columns
constexpr int kFooter = 16;        // px, for the scale below each map
constexpr double kMinShade = 0.4;  // brightness of a colour over a black pixel
constexpr double kTextScale = 0.38;
constexpr double kSmallTextScale = 0.32;

/// The places of images and maps on a sheet.
struct SheetLayout {
  int tile_width;
  int tile_height;
  int columns;
  int images;

  int row_height() const { return tile_height + kFooter; }
  int image_height() const { return 2 * row_height() + 2 * kGap; }
  int x_of(int column) const { return kGutter + column * (tile_width + kGap); }
  int y_of(int image, int row) const {
    return kHeader + image * image_height() + row * row_height();
  }
  cv::Mat new_sheet() const {
    return {kHeader + images * image_height(), x_of(columns), CV_8UC3, kBackground};
  }
};

SheetLayout layout_of(const VitOptions& model, size_t images, size_t slots, int64_t tile_size) {
  const double longest = static_cast<double>(std::max(model.image_height(), model.image_width()));
  const auto side = [&](int64_t pixels) {
    return std::max(
        8, static_cast<int>(std::lround(static_cast<double>(tile_size * pixels) / longest)));
  };
  return {.tile_width = side(model.image_width()),
          .tile_height = side(model.image_height()),
          .columns = static_cast<int>(slots) + 2,
          .images = static_cast<int>(images)};
}

/// The ASCII characters of `text`, which are all that OpenCV's fonts have; if there are none, the
/// numbers of its characters: "U+0416".
std::string ascii_text(const std::string& text) {
  std::string ascii;
  std::string numbers;
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const size_t bytes = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    uint32_t number = bytes == 1 ? lead : lead & (0xFFU >> (bytes + 1));
    for (size_t k = 1; k < bytes && i + k < text.size(); ++k) {
      number = number << 6 | (static_cast<unsigned char>(text[i + k]) & 0x3FU);
    }
    ascii += bytes == 1 ? std::string(1, text[i]) : "";
    numbers += fmt::format("{}U+{:04X}", numbers.empty() ? "" : " ", number);
    i += bytes;
  }
  return ascii.find_first_not_of(' ') == std::string::npos ? numbers : ascii;
}

/// Writes `text` with its left end at x, cut to `width`.
void write_text(cv::Mat& sheet, std::string text, int x, int y, int width, double scale,
                const cv::Scalar& color) {
  const auto is_too_wide = [&] {
    return cv::getTextSize(text, cv::FONT_HERSHEY_SIMPLEX, scale, 1, nullptr).width > width;
  };
  while (text.size() > 1 && is_too_wide()) {
    text.pop_back();
  }
  cv::putText(sheet, text, {x, y}, cv::FONT_HERSHEY_SIMPLEX, scale, color, 1, cv::LINE_AA);
}

cv::Mat enlarged(const cv::Mat& image, const SheetLayout& layout, int interpolation) {
  cv::Mat large;
  cv::resize(image, large, {layout.tile_width, layout.tile_height}, 0, 0, interpolation);
  return large;
}

/// The picture at the size of a tile, RGB; small pictures keep their pixels.
cv::Mat picture_tile(const cv::Mat& picture, const SheetLayout& layout) {
  cv::Mat color = picture;
  if (picture.channels() == 1) {
    cv::cvtColor(picture, color, cv::COLOR_GRAY2RGB);
  }
  const bool shrinks = picture.cols > layout.tile_width;
  return enlarged(color, layout, shrinks ? cv::INTER_AREA : cv::INTER_NEAREST);
}

/// The weights [grid_height, grid_width] as colours, shaded by the picture.
cv::Mat heat_tile(const cv::Mat& picture, const torch::Tensor& weights, const SheetLayout& layout,
                  bool smooth) {
  const auto scaled = (weights / weights.max().clamp_min(1e-30)).to(torch::kFloat32).contiguous();
  const cv::Mat heat(static_cast<int>(scaled.size(0)), static_cast<int>(scaled.size(1)), CV_32F,
                     const_cast<float*>(scaled.const_data_ptr<float>()));
  cv::Mat level;
  enlarged(heat, layout, smooth ? cv::INTER_CUBIC : cv::INTER_NEAREST)
      .convertTo(level, CV_8U, 255.0);
  cv::Mat color;
  cv::applyColorMap(level, color, cv::COLORMAP_INFERNO);
  cv::cvtColor(color, color, cv::COLOR_BGR2RGB);
  cv::Mat shade;
  cv::cvtColor(picture, shade, cv::COLOR_RGB2GRAY);
  cv::cvtColor(shade, shade, cv::COLOR_GRAY2RGB);
  shade.convertTo(shade, CV_8U, 1.0 - kMinShade, 255.0 * kMinShade);
  cv::Mat tile;
  cv::multiply(color, shade, tile, 1.0 / 255.0);
  return tile;
}

/// Draws one map and its scale; `weights` [grid_height, grid_width].
void place_map(cv::Mat& sheet, const cv::Mat& picture, const torch::Tensor& weights,
               const SheetLayout& layout, int image, int row, int column, bool smooth) {
  const int x = layout.x_of(column);
  const int y = layout.y_of(image, row);
  heat_tile(picture, weights, layout, smooth)
      .copyTo(sheet(cv::Rect(x, y, layout.tile_width, layout.tile_height)));
  write_text(sheet, fmt::format("max {:.2g}", weights.max().item<double>()), x,
             y + layout.tile_height + 11, layout.tile_width, kSmallTextScale, kFaintText);
}

void place_image(cv::Mat& sheet, const InspectedImage& image, const cv::Mat& picture,
                 const SheetLayout& layout, int index) {
  const int x = layout.x_of(0);
  picture.copyTo(sheet(cv::Rect(x, layout.y_of(index, 0), layout.tile_width, layout.tile_height)));
  write_text(sheet, ascii_text(image.caption), x, layout.y_of(index, 0) + layout.tile_height + 13,
             layout.tile_width, kTextScale, kText);
  for (int row = 0; row < 2; ++row) {
    write_text(sheet, row == 0 ? "dispatch" : "combine", 4,
               layout.y_of(index, row) + layout.tile_height / 2, kGutter - 4, kTextScale,
               kFaintText);
  }
}

void write_header(cv::Mat& sheet, const std::vector<int64_t>& slots, int64_t slots_per_expert,
                  bool is_sparse, const SheetLayout& layout) {
  const auto write = [&](const std::string& text, int column) {
    write_text(sheet, text, layout.x_of(column), 15, layout.tile_width + kGap, kTextScale, kText);
  };
  write("image", 0);
  write(is_sparse ? "all experts" : "all slots", 1);
  for (size_t i = 0; i < slots.size(); ++i) {
    const int64_t expert = slots[i] / slots_per_expert;
    write(slots_per_expert == 1
              ? fmt::format("expert {}", expert)
              : fmt::format("exp {} slot {}", expert, slots[i] % slots_per_expert),
          static_cast<int>(i) + 2);
  }
}

}  // namespace

void describe(OptionTable& table, DispatchMapOptions& options) {
  table.add("blocks", options.blocks, "MoE blocks to look at; empty: all", {.min = 0});
  table.add("slots", options.slots, "slots of a block to draw", {.min = 1});
  table.add("slot-choice", options.slot_choice,
            "which slots: of the largest combine weights, of the largest single dispatch weight, "
            "or evenly spaced");
  table.add("smooth", options.smooth, "interpolate the maps instead of showing patches");
  table.add("tile-size", options.tile_size, "longer side of one map",
            {.unit = "px", .min = 16, .max = 1024});
}

std::vector<cv::Mat> to_pictures(const torch::Tensor& images, const std::vector<double>& mean,
                                 const std::vector<double>& std) {
  check_shape("to_pictures: images", images, {-1, -1, -1, -1});
  const auto per_channel = [](const std::vector<double>& values) {
    return torch::tensor(values, torch::kFloat64).view({1, -1, 1, 1});  // [1, channels or 1, 1, 1]
  };
  const auto pixels =
      ((images.to(torch::kCPU, torch::kFloat64) * per_channel(std) + per_channel(mean)) * 255.0)
          .round()
          .clamp(0, 255)
          .to(torch::kUInt8)
          .permute({0, 2, 3, 1})
          .contiguous();  // [batch, height, width, channels]
  std::vector<cv::Mat> pictures;
  for (int64_t i = 0; i < pixels.size(0); ++i) {
    const auto one = pixels[i];
    pictures.push_back(cv::Mat(static_cast<int>(one.size(0)), static_cast<int>(one.size(1)),
                               CV_8UC(static_cast<int>(one.size(2))), one.data_ptr())
                           .clone());
  }
  return pictures;
}

torch::Tensor weights_over_grid(const torch::Tensor& weights, const VitOptions& model) {
  check_shape("weights_over_grid: weights", weights, {-1, model.tokens(), -1, -1});
  const auto patches = weights.flatten(2).slice(1, model.prefix_tokens());
  return patches.transpose(1, 2).unflatten(2, {model.grid_height(), model.grid_width()});
}

std::vector<int64_t> choose_slots(const RoutingRecord& record, int64_t count, SlotChoice choice) {
  const auto dispatch = record.dispatch.flatten(2);  // [batch, tokens, slots]
  const int64_t slots = dispatch.size(2);
  count = std::min(count, slots);
  std::vector<int64_t> chosen(static_cast<size_t>(count));
  if (choice == SlotChoice::kEven) {
    for (int64_t i = 0; i < count; ++i) {
      chosen[static_cast<size_t>(i)] = i * slots / count;
    }
    return chosen;
  }
  const auto merit = choice == SlotChoice::kImportant ? record.combine.flatten(2).sum({0, 1})
                                                      : dispatch.amax(1).amax(0);  // [slots]
  const auto order = merit.to(torch::kCPU)
                         .argsort(/*stable=*/true, /*dim=*/0, /*descending=*/true)
                         .contiguous();  // [slots]
  std::copy_n(order.const_data_ptr<int64_t>(), count, chosen.begin());
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

cv::Mat draw_dispatch_sheet(const std::vector<InspectedImage>& images, const RoutingRecord& record,
                            const VitOptions& model, const std::vector<int64_t>& slots,
                            const DispatchMapOptions& options) {
  TORCH_CHECK_VALUE(record.dispatch.size(0) == static_cast<int64_t>(images.size()),
                    "draw_dispatch_sheet: expected a record of ", images.size(), " images, got ",
                    record.dispatch.size(0));
  const torch::NoGradGuard no_grad;
  const auto layout = layout_of(model, images.size(), slots.size(), options.tile_size);
  auto sheet = layout.new_sheet();
  const bool is_sparse = router_row(model.moe.router).kind == RoutingKind::kSparse;
  write_header(sheet, slots, record.dispatch.size(3), is_sparse, layout);
  for (size_t i = 0; i < images.size(); ++i) {
    place_image(sheet, images[i], picture_tile(images[i].picture, layout), layout,
                static_cast<int>(i));
  }
  for (int row = 0; row < 2; ++row) {
    const auto maps = weights_over_grid(row == 0 ? record.dispatch : record.combine, model)
                          .to(torch::kCPU, torch::kFloat32);  // [batch, slots, grid_h, grid_w]
    for (int image = 0; image < layout.images; ++image) {
      const auto of_image = maps[image];  // [slots, grid_height, grid_width]
      const auto picture = picture_tile(images[static_cast<size_t>(image)].picture, layout);
      // Combine weights of a token sum to 1, so their max is shown instead of their sum.
      const auto all = row == 0 ? of_image.sum(0) : of_image.amax(0);  // [grid_height, grid_width]
      place_map(sheet, picture, all, layout, image, row, 1, options.smooth);
      for (size_t slot = 0; slot < slots.size(); ++slot) {
        place_map(sheet, picture, of_image[slots[slot]], layout, image, row,
                  static_cast<int>(slot) + 2, options.smooth);
      }
    }
  }
  return sheet;
}

}  // namespace softmoe
