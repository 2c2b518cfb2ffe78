#pragma once
/// Predicted labels as a table, JSON or CSV.

#include <functional>
#include <string>

#include "inference/predictor.h"

namespace softmoe {

enum class PredictionFormat { kTable, kJson, kCsv };

template <>
inline constexpr std::array<EnumName<PredictionFormat>, 3> kEnumNames<PredictionFormat>{
    {{PredictionFormat::kTable, "table"},
     {PredictionFormat::kJson, "json"},
     {PredictionFormat::kCsv, "csv"}}};

/// The labels of `predictions` as text; a model without a head gives none.
class PredictionOutput {
 public:
  /// `predictor` and `predictions` must outlive this. `image_name` gives the name of an image by
  /// its index.
  PredictionOutput(const Predictor& predictor, const Predictions& predictions,
                   std::function<std::string(int64_t index)> image_name);

  /// A table for people: one line per label, the image named on the first of its lines.
  std::string table() const;
  /// `image,rank,class,name,probability`, quoted as RFC 4180 says.
  std::string csv() const;
  /// `images`: each with `image` and `predictions` of `class`, `name` and `probability`, or with
  /// `error` if it could not be read.
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

}  // namespace softmoe
