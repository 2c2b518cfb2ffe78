#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/log.h"
#include "report/number_text.h"
#include "report/sections.h"
#include "report/svg_plot.h"

namespace softmoe::report {
namespace {

constexpr int kThumbnail = 168;  // px: twice the size on the page, for fine screens
constexpr int kSmallImage = 84;  // below this, pixels are shown as squares
constexpr size_t kGuesses = 3;
constexpr std::string_view kPngSignature = "\x89PNG\r\n\x1a\n";

std::string png_bytes(const cv::Mat& image) {
  std::vector<unsigned char> bytes;
  cv::imencode(".png", image, bytes);
  return {bytes.begin(), bytes.end()};
}

/// The image file made small, or a box that says that it is gone: the predictions are still true.
std::string thumbnail_html(const std::string& path) {
  cv::Mat image;
  if (std::filesystem::is_regular_file(path)) {  // OpenCV prints where there is no file
    image = cv::imread(path, cv::IMREAD_COLOR);
  }
  if (image.empty()) {
    log_line("report: no thumbnail of " + path + ": not a readable image file");
    return "<div class=\"missing\">no image</div>";
  }
  const int longest = std::max(image.cols, image.rows);
  if (longest > kThumbnail) {
    const double factor = static_cast<double>(kThumbnail) / longest;
    cv::resize(image, image, {}, factor, factor, cv::INTER_AREA);
  }
  auto html = embedded_image_html(png_bytes(image), "image/png",
                                  std::filesystem::path(path).filename().string());
  return longest < kSmallImage ? "<img class=\"small\"" + html.substr(4) : html;
}

std::string card_html(const Prediction& prediction) {
  std::string html = "<div class=\"card\">" + thumbnail_html(prediction.image);
  html += "<div><div class=\"name\">" +
          escape_html(std::filesystem::path(prediction.image).filename().string()) + "</div>";
  for (size_t i = 0; i < std::min(kGuesses, prediction.guesses.size()); ++i) {
    const auto& guess = prediction.guesses[i];
    const double share = std::isfinite(guess.probability) ? guess.probability : 0.0;
    html += fmt::format(
        "<div class=\"guess{}\"><span>{} %</span>{}<i style=\"width:{:.1f}%\"></i></div>",
        i == 0 ? " first" : "", percent_text(guess.probability), escape_html(guess.label),
        100.0 * std::clamp(share, 0.0, 1.0));
  }
  return html + "</div></div>\n";
}

std::string sheet_html(const DispatchMaps::Sheet& sheet) {
  const auto bytes = read_text_file(sheet.file);
  if (!bytes.starts_with(kPngSignature)) {
    throw InputError(sheet.file, "a PNG image", "something else");
  }
  return embedded_image_html(bytes, "image/png", sheet.title);
}

/// The statistics of the layers, one row a block; names are written as words.
Table statistics_table(const DispatchMaps& maps) {
  Table table{.columns = {{"block", true}}};
  for (auto name : maps.statistic_names) {
    std::replace(name.begin(), name.end(), '_', ' ');
    table.columns.push_back({name, true});
  }
  for (const auto& [block, values] : maps.layers) {
    Row row{.cells = {std::to_string(block)}};
    for (const double value : values) {
      row.cells.emplace_back(value == std::round(value) ? fixed_text(value, 0) : short_text(value));
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

}  // namespace

Section dispatch_section(const Results& results) {
  Section section("dispatch", "Where the slots look",
                  "Each slot of a Soft MoE layer is a weighted mean of all patches of the image. "
                  "The maps show these weights over the image, bright where they are large.");
  for (const auto& maps : results.dispatch_maps) {
    section.add_heading(maps.label);
    std::vector<Section::Figure> figures;
    for (const auto& sheet : maps.sheets) {
      figures.push_back({sheet.title, sheet_html(sheet), sheet.caption});
    }
    section.add_figures(figures, /*wide=*/true);
    section.add_table(statistics_table(maps));
  }
  return section;
}

Section prediction_section(const Results& results) {
  Section section("predictions", "Predictions", "The most probable labels of image files.");
  std::string label;
  std::string cards;
  const auto finish_label = [&] {
    if (!cards.empty()) {
      section.add_heading(label);
      section.add_html("<div class=\"cards\">\n" + cards + "</div>\n");
      cards.clear();
    }
  };
  for (const auto& prediction : results.predictions) {
    if (prediction.label != label) {
      finish_label();
      label = prediction.label;
    }
    cards += card_html(prediction);
  }
  finish_label();
  return section;
}

}  // namespace softmoe::report
