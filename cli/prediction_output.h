#pragma once
/// Predicted labels as a table, JSON or CSV.

#include <functional>
#include <string>

#include "inference/predictor.h"

namespace softmoe::cli {

enum class PredictionFormat { kTable, kJson, kCsv };

}  // namespace softmoe::cli

namespace softmoe {

template <>
inline constexpr std::array<EnumName<cli::PredictionFormat>, 3> kEnumNames<cli::PredictionFormat>{
    {{cli::PredictionFormat::kTable, "table"},
     {cli::PredictionFormat::kJson, "json"},
     {cli::PredictionFormat::kCsv, "csv"}}};

}  // namespace softmoe

namespace softmoe::cli {

/// The labels of `predictions`; both arguments must outlive it. A model without a head gives none.
class PredictionOutput {
 public:
  /// `image_name` gives what an image is called, by its index.
  PredictionOutput(const Predictor& predictor, const Predictions& predictions,
                   std::function<std::string(int64_t index)> image_name);

  /// For people: one line a label, the image named on the first of its lines.
  std::string table() const;
  /// `image,rank,class,name,probability`, quoted as RFC 4180 says.
  std::string csv() const;
  /// `images`: each with `image` and `predictions` of `class`, `name` and `probability`, or with
  /// `error` where it could not be read.
  Json json() const;

  std::string text(PredictionFormat format) const;

 private:
  /// One label of one image.
  struct Label {
    int64_t number = 0;
    double probability = 0.0;
  };
  int64_t rows() const { return predictions_.indices.size(0); }
  int64_t labels_per_image() const {
    return predictions_.classes.defined() ? predictions_.classes.size(1) : 0;
  }
  Label label(int64_t row, int64_t rank) const;
  std::string name_of_row(int64_t row) const;

  const Predictor& predictor_;
  const Predictions& predictions_;
  std::function<std::string(int64_t index)> image_name_;
};

}  // namespace softmoe::cli
