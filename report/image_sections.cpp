#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <opencv2/imgproc.hpp>

#include "core/error.h"
#include "core/log.h"
#include "core/text_format.h"
#include "datasets/image_file.h"
#include "io/atomic_file.h"
#include "report/number_text.h"
#include "report/sections.h"
#include "report/svg_parts.h"

namespace softmoe::report {
namespace {

constexpr int kThumbnail = 168;  // px: twice the size on the page, for screens of high resolution
constexpr int kSmallImage = 84;  // smaller images are shown with square pixels
constexpr size_t kGuesses = 3;
constexpr std::string_view kPngSignature = "\x89PNG\r\n\x1a\n";

/// The image of a file; throws InputError also for pipes, which might never end.
cv::Mat image_of(const std::string& path) {
  std::error_code missing;
  if (!std::filesystem::is_regular_file(path, missing)) {
    throw InputError(path + ": no such image file");
  }
  return load_image(path);
}

/// A thumbnail of the image file, or a box with a note if the file is gone: the predictions remain
/// valid.
std::string thumbnail_html(const std::string& path) {
  cv::Mat image;
  try {
    image = image_of(path);
  } catch (const InputError& error) {
    log_line(std::string("report: no thumbnail: ") + error.what());
    return "<div class=\"missing\">no image</div>";
  }
  const int longest = std::max(image.cols, image.rows);
  if (longest > kThumbnail) {
    const double factor = static_cast<double>(kThumbnail) / longest;
    cv::resize(image, image, {}, factor, factor, cv::INTER_AREA);
  }
  const auto bytes = encode_png(image);
  auto html = embedded_image_html({bytes.begin(), bytes.end()}, "image/png",
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

/// A statistic of a layer and how it is shown.
struct StatisticRow {
  std::string_view name;
  const char* title;
  std::string (*text)(double value);
};

constexpr std::array kStatistics{
    StatisticRow{"block", "block", [](double value) { return fixed_text(value, 0); }},
    StatisticRow{"tokens", "tokens", [](double value) { return fixed_text(value, 0); }},
    StatisticRow{"experts", "experts", [](double value) { return fixed_text(value, 0); }},
    StatisticRow{"slots_per_expert", "slots per expert",
                 [](double value) { return fixed_text(value, 0); }},
    StatisticRow{"experts_per_token", "experts per patch",
                 [](double value) { return fixed_text(value, 2); }},
    StatisticRow{"dropped", "dropped patches, %", [](double value) { return percent_text(value); }},
    StatisticRow{"busiest_expert", "busiest expert / mean",
                 [](double value) { return fixed_text(value, 2); }},
    StatisticRow{"idle_experts", "idle experts", [](double value) { return fixed_text(value, 0); }},
    StatisticRow{"importance_spread", "expert importance, max/min",
                 [](double value) { return fixed_text(value, 2); }},
    StatisticRow{"tokens_for_90_percent", "patches for 90 % of a slot",
                 [](double value) { return fixed_text(value, 1); }},
    StatisticRow{"contribution_above_2", "patches of weight > 2, %",
                 [](double value) { return percent_text(value); }},
    StatisticRow{"contribution_up_to_quarter", "patches of weight \u2264 \u00bc, %",
                 [](double value) { return percent_text(value); }},
    StatisticRow{"dispatch_similarity", "slot similarity",
                 [](double value) { return fixed_text(value, 3); }},
    StatisticRow{"combine_similarity", "patch similarity",
                 [](double value) { return fixed_text(value, 3); }},
};

/// One row per layer, with the statistics that the first layer has.
Table statistics_table(const DispatchMaps& maps) {
  Table table;
  for (const auto& layer : maps.layers) {
    Row row;
    for (const auto& [name, title, text] : kStatistics) {
      const auto first = maps.layers.front().find(std::string(name));
      if (first == maps.layers.front().end()) {
        continue;
      }
      if (table.rows.empty()) {
        table.columns.push_back({title, true});
      }
      const auto value = layer.find(std::string(name));
      row.cells.emplace_back(value == layer.end() ? kNoValue : text(value->second));
    }
    table.rows.push_back(std::move(row));
  }
  table.note =
      "The weight of a patch is the sum of its dispatch weights over all slots, slots / "
      "patches on average. Similarities are mean cosines between the weights of two slots or "
      "patches.";
  return table;
}

}  // namespace

Section dispatch_section(const Results& results) {
  const bool has_sparse = std::any_of(
      results.dispatch_maps.begin(), results.dispatch_maps.end(), [](const DispatchMaps& maps) {
        return !maps.layers.empty() && maps.layers.front().contains("experts_per_token");
      });
  Section section(
      "dispatch", has_sparse ? "Where slots and experts look" : "Where the slots look",
      std::string("Each slot of a Soft MoE layer is a weighted mean of all patches of the image. "
                  "The maps show these weights over the image, light yellow where they are "
                  "largest, dark where they are small.") +
          (has_sparse
               ? " The experts of a sparse layer get whole patches: the maps show which, and "
                 "the weights of their outputs."
               : ""));
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
