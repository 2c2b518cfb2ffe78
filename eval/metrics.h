#pragma once
/// Accuracy, loss and calibration of a classifier, gathered batch by batch.

#include <torch/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/options.h"
#include "parallel/world.h"
#include "vit/likelihood.h"

namespace softmoe {

/// Predictions whose confidence lies in one of the equal parts of [0, 1].
struct CalibrationBin {
  int64_t examples = 0;
  double confidence = 0;  ///< mean probability of the predicted class
  double accuracy = 0;
};

/// The performance of a classifier on a data set; shares and probabilities in [0, 1].
struct ClassificationResult {
  int64_t examples = 0;
  double top1 = 0;
  double top5 = 0;
  double balanced_accuracy = 0;  ///< mean of class_accuracy over the classes that have images
  double loss = 0;               ///< mean over images; sigmoid: of the sum over classes
  /// Expected calibration error: |accuracy - confidence| of the bins, weighted by their size.
  /// Source: Guo et al., arXiv:1706.04599, section 2.
  double calibration_error = 0;
  std::vector<CalibrationBin> calibration{};
  std::vector<int64_t> class_examples{};                ///< images of each class
  std::vector<std::optional<double>> class_accuracy{};  ///< none for a class without images
  torch::Tensor confusion{};  ///< [classes, classes] int64 (label, prediction), or undefined
  /// Of a multi-label set, where class_accuracy and calibration are empty; none for a class without
  /// images.
  std::vector<std::optional<double>> average_precision{};
  std::optional<double> mean_average_precision{};  ///< over classes with images

  /// What the best model has most of: mean average precision of a multi-label set, else top-1.
  double score() const { return mean_average_precision.value_or(top1); }
};

/// Gathers a ClassificationResult. The prediction is the first of the largest logits, and the rank
/// of a label counts larger logits and equal ones before it, so that a constant output does not
/// count as right for all labels.
class ClassificationMetrics {
 public:
  static constexpr int64_t kCalibrationBins = 15;
  /// Max number of classes with which the result has a confusion matrix.
  static constexpr int64_t kMaxConfusionClasses = 4096;

  explicit ClassificationMetrics(int64_t num_classes, Likelihood likelihood = Likelihood::kSoftmax);

  /// Adds a batch: `logits` [batch, classes] of any float dtype and device, `labels` [batch] int64.
  /// Throws InputError for a label that the classifier does not know.
  void add(const torch::Tensor& logits, const torch::Tensor& labels);

  /// "loss 1.2345  Acc@1 71.100  Acc@5 90.500" of what was added so far; empty if nothing was.
  std::string note() const;

  /// Adds what the other processes of `world` have added; `device` is that of the logits.
  void join(const World& world, const torch::Device& device);

  /// Throws InputError if nothing was added or a logit was NaN or infinite.
  ClassificationResult result() const;

 private:
  void make_sums(const torch::Device& device);
  void add_loss(const torch::Tensor& logits, const torch::Tensor& labels);
  void add_calibration(const torch::Tensor& logits, const torch::Tensor& correct);

  int64_t num_classes_;
  Likelihood likelihood_;
  int64_t examples_ = 0;
  // On the device of the logits, so that no batch has to wait for the device.
  torch::Tensor sums_;          // [4] float64: top-1, top-5, loss, images with bad logits
  torch::Tensor bins_;          // [bins, 3] float64: images, confidence, correct
  torch::Tensor class_counts_;  // [classes, 2] float64: images, correct
  torch::Tensor confusion_;     // [classes * classes] int64
};

/// The result as JSON; the confusion matrix, if there is one, as rows.
Json to_json(const ClassificationResult& result);

/// {"top1", "top5", "loss"} of `result`, and "mean_average_precision" if it has one; null if it was
/// not measured.
Json accuracy_json(const std::optional<ClassificationResult>& result);

}  // namespace softmoe
