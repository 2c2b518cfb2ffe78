#include "inference/prediction_output.h"

#include <fmt/format.h>

#include "core/table.h"

namespace softmoe {
namespace {

std::string csv_cell(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) {
    return text;
  }
  std::string quoted = "\"";
  for (const char letter : text) {
    quoted += letter == '"' ? "\"\"" : std::string(1, letter);
  }
  return quoted + "\"";
}

}  // namespace

PredictionOutput::PredictionOutput(const Predictor& predictor, const Predictions& predictions,
                                   std::function<std::string(int64_t index)> image_name)
    : predictor_(predictor), predictions_(predictions), image_name_(std::move(image_name)) {}

PredictionOutput::Label PredictionOutput::label(int64_t row, int64_t rank) const {
  const auto place = row * labels_per_image() + rank;
  return {.number = predictions_.classes.const_data_ptr<int64_t>()[place],
          .probability = predictions_.probabilities.const_data_ptr<float>()[place]};
}

std::string PredictionOutput::name_of_row(int64_t row) const {
  return image_name_(predictions_.indices.const_data_ptr<int64_t>()[row]);
}

std::string PredictionOutput::table() const {
  TextTable table({"image", "label", "probability"});
  for (int64_t row = 0; row < rows(); ++row) {
    for (int64_t rank = 0; rank < labels_per_image(); ++rank) {
      const auto [number, probability] = label(row, rank);
      table.add_row({rank == 0 ? name_of_row(row) : "", predictor_.class_name(number),
                     fmt::format("{:.4f}", probability)});
    }
  }
  return table.text();
}

std::string PredictionOutput::csv() const {
  std::string text = "image,rank,class,name,probability\n";
  for (int64_t row = 0; row < rows(); ++row) {
    const auto image = csv_cell(name_of_row(row));
    for (int64_t rank = 0; rank < labels_per_image(); ++rank) {
      const auto [number, probability] = label(row, rank);
      text += fmt::format("{},{},{},{},{:.6g}\n", image, rank + 1, number,
                          csv_cell(predictor_.class_name(number)), probability);
    }
  }
  return text;
}

Json PredictionOutput::json() const {
  std::map<int64_t, Json> images;
  for (int64_t row = 0; row < rows(); ++row) {
    Json labels = Json::array();
    for (int64_t rank = 0; rank < labels_per_image(); ++rank) {
      const auto [number, probability] = label(row, rank);
      labels.push_back({{"class", number},
                        {"name", predictor_.class_name(number)},
                        {"probability", probability}});
    }
    const auto index = predictions_.indices.const_data_ptr<int64_t>()[row];
    images[index] = {{"image", image_name_(index)}, {"predictions", std::move(labels)}};
  }
  for (const auto& bad : predictions_.bad) {
    images[bad.index] = {{"image", image_name_(bad.index)}, {"error", bad.reason}};
  }
  Json list = Json::array();
  for (auto& [index, image] : images) {
    list.push_back(std::move(image));
  }
  return {{"model", predictor_.description().name}, {"images", std::move(list)}};
}

std::string PredictionOutput::text(PredictionFormat format) const {
  switch (format) {
    case PredictionFormat::kJson:
      return json_text(json(), 2) + "\n";
    case PredictionFormat::kCsv:
      return csv();
    default:
      return table();
  }
}

}  // namespace softmoe
