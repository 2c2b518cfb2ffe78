#include "eval/metrics.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/tensor_check.h"

namespace softmoe {
namespace {

constexpr int64_t kTopK = 5;

enum Sum : int64_t { kTop1, kTopFive, kLoss, kBad, kNumSums };

void check_labels(const torch::Tensor& labels, int64_t num_classes) {
  const auto [smallest, largest] = torch::aminmax(labels);
  for (const auto label : {smallest.item<int64_t>(), largest.item<int64_t>()}) {
    if (label < 0 || label >= num_classes) {
      throw InputError("labels", fmt::format("classes 0 to {} of the model", num_classes - 1),
                       std::to_string(label));
    }
  }
}

}  // namespace

ClassificationMetrics::ClassificationMetrics(int64_t num_classes, Likelihood likelihood)
    : num_classes_(num_classes), likelihood_(likelihood) {
  TORCH_CHECK_VALUE(num_classes > 0, "ClassificationMetrics: expected classes, found ",
                    num_classes);
}

void ClassificationMetrics::make_sums(const torch::Device& device) {
  if (sums_.defined()) {
    return;
  }
  const auto counts = torch::dtype(torch::kFloat64).device(device);
  sums_ = torch::zeros({kNumSums}, counts);
  bins_ = torch::zeros({kCalibrationBins, 3}, counts);
  class_counts_ = torch::zeros({num_classes_, 2}, counts);
  if (num_classes_ <= kMaxConfusionClasses) {
    confusion_ = torch::zeros({num_classes_ * num_classes_}, counts.dtype(torch::kInt64));
  }
}

void ClassificationMetrics::join(const World& world, const torch::Device& device) {
  if (world.is_alone()) {
    return;
  }
  make_sums(device);
  const auto examples = torch::full({1}, examples_, torch::kInt64);
  for (const auto& sums : {examples, sums_, bins_, class_counts_, confusion_}) {
    if (sums.defined()) {
      world.sum(sums);
    }
  }
  examples_ = examples.item<int64_t>();
}

void ClassificationMetrics::add(const torch::Tensor& logits, const torch::Tensor& labels) {
  check_shape("ClassificationMetrics: logits", logits, {-1, num_classes_});
  check_shape("ClassificationMetrics: labels", labels, {logits.size(0)});
  if (logits.size(0) == 0) {
    return;
  }
  check_labels(labels, num_classes_);
  const torch::NoGradGuard no_grad;
  const auto device = logits.device();
  make_sums(device);
  const auto scores = logits.to(torch::kFloat32);                   // [batch, classes]
  const auto targets = labels.to(device);                           // [batch]
  const auto own = scores.gather(/*dim=*/1, targets.unsqueeze(1));  // [batch, 1]
  const auto classes = torch::arange(num_classes_, targets.options()).unsqueeze(0);
  const auto ahead = scores.gt(own).logical_or(  // [batch, classes]
      scores.eq(own).logical_and(classes.lt(targets.unsqueeze(1))));
  const auto rank = ahead.sum(/*dim=*/1);                          // [batch]
  const auto finite = scores.isfinite().all(/*dim=*/1);            // [batch]
  const auto predicted = scores.argmax(/*dim=*/1);                 // [batch]
  const auto correct = predicted.eq(targets).to(torch::kFloat64);  // [batch]
  sums_[kTop1] += correct.sum();
  sums_[kTopFive] += rank.lt(kTopK).logical_and(finite).sum();
  sums_[kBad] += finite.logical_not().sum();
  add_loss(scores, targets);
  add_calibration(scores, correct);
  const auto per_class = torch::stack({torch::ones_like(correct), correct}, /*dim=*/1);
  class_counts_.index_add_(/*dim=*/0, targets, per_class);  // [classes, 2]
  if (confusion_.defined()) {
    const auto cells = targets * num_classes_ + predicted;  // [batch]
    confusion_.index_add_(/*dim=*/0, cells, torch::ones_like(cells));
  }
  examples_ += logits.size(0);
}

void ClassificationMetrics::add_loss(const torch::Tensor& logits, const torch::Tensor& labels) {
  const auto own = logits.gather(/*dim=*/1, labels.unsqueeze(1)).squeeze(1);  // [batch]
  // With z the logits and y the label: softmax log sum e^z - z_y; sigmoid sum log(1 + e^z) - z_y.
  const auto normalizer = likelihood_ == Likelihood::kSoftmax
                              ? logits.logsumexp(/*dim=*/1)              // [batch]
                              : torch::softplus(logits).sum(/*dim=*/1);  // [batch]
  sums_[kLoss] += (normalizer - own).to(torch::kFloat64).sum();
}

void ClassificationMetrics::add_calibration(const torch::Tensor& logits,
                                            const torch::Tensor& correct) {
  const auto probabilities = class_probabilities(logits, likelihood_);        // [batch, classes]
  const auto confidence = probabilities.amax(/*dim=*/1).to(torch::kFloat64);  // [batch]
  // Bins are (lower, upper] as in the source; a NaN, which kBad counts, goes to the first bin.
  const auto bin = (confidence * kCalibrationBins)
                       .ceil()
                       .sub(1)
                       .nan_to_num(0)
                       .clamp(0, kCalibrationBins - 1)
                       .to(torch::kInt64);  // [batch]
  bins_.index_add_(/*dim=*/0, bin,
                   torch::stack({torch::ones_like(correct), confidence, correct}, /*dim=*/1));
}

std::string ClassificationMetrics::note() const {
  if (examples_ == 0) {
    return "";
  }
  const auto means = (sums_ / static_cast<double>(examples_)).cpu();
  return fmt::format("loss {:.4f}  Acc@1 {:.3f}  Acc@5 {:.3f}", means[kLoss].item<double>(),
                     100.0 * means[kTop1].item<double>(), 100.0 * means[kTopFive].item<double>());
}

ClassificationResult ClassificationMetrics::result() const {
  if (examples_ == 0) {
    throw InputError("evaluation", "at least one image", "none");
  }
  const auto sums = sums_.cpu();
  const auto bad = sums[kBad].item<int64_t>();
  if (bad > 0) {
    throw InputError("logits", "finite numbers",
                     fmt::format("NaN or infinity for {} of {} images", bad, examples_));
  }
  const auto total = static_cast<double>(examples_);
  ClassificationResult result{.examples = examples_,
                              .top1 = sums[kTop1].item<double>() / total,
                              .top5 = sums[kTopFive].item<double>() / total,
                              .loss = sums[kLoss].item<double>() / total};
  const auto bins = bins_.cpu();
  for (int64_t i = 0; i < kCalibrationBins; ++i) {
    CalibrationBin bin{.examples = bins[i][0].item<int64_t>()};
    if (bin.examples > 0) {
      const auto count = static_cast<double>(bin.examples);
      bin.confidence = bins[i][1].item<double>() / count;
      bin.accuracy = bins[i][2].item<double>() / count;
      result.calibration_error += count / total * std::abs(bin.accuracy - bin.confidence);
    }
    result.calibration.push_back(bin);
  }
  const auto classes = class_counts_.cpu().contiguous();  // [classes, 2]
  const auto* counts = classes.const_data_ptr<double>();
  int64_t present = 0;
  for (int64_t i = 0; i < num_classes_; ++i) {
    const double images = counts[2 * i];
    result.class_examples.push_back(static_cast<int64_t>(images));
    result.class_accuracy.push_back(images > 0 ? std::optional(counts[2 * i + 1] / images)
                                               : std::nullopt);
    present += images > 0 ? 1 : 0;
    result.balanced_accuracy += result.class_accuracy.back().value_or(0.0);
  }
  result.balanced_accuracy /= static_cast<double>(present);
  if (confusion_.defined()) {
    result.confusion =
        confusion_.cpu().reshape({num_classes_, num_classes_});  // [label, predicted]
  }
  return result;
}

namespace {

Json values_json(const std::vector<std::optional<double>>& values) {
  Json json = Json::array();
  for (const auto& value : values) {
    json.push_back(value ? Json(*value) : Json(nullptr));
  }
  return json;
}

Json multi_label_json(const ClassificationResult& result) {
  return {{"examples", result.examples},
          {"mean_average_precision", *result.mean_average_precision},
          {"top1", result.top1},
          {"top5", result.top5},
          {"loss", result.loss},
          {"class_examples", result.class_examples},
          {"average_precision", values_json(result.average_precision)}};
}

}  // namespace

Json to_json(const ClassificationResult& result) {
  if (result.mean_average_precision) {
    return multi_label_json(result);
  }
  Json bins = Json::array();
  for (const auto& bin : result.calibration) {
    bins.push_back(
        {{"examples", bin.examples}, {"confidence", bin.confidence}, {"accuracy", bin.accuracy}});
  }
  Json json{{"examples", result.examples},
            {"top1", result.top1},
            {"top5", result.top5},
            {"balanced_accuracy", result.balanced_accuracy},
            {"loss", result.loss},
            {"calibration_error", result.calibration_error},
            {"calibration", std::move(bins)},
            {"class_examples", result.class_examples},
            {"class_accuracy", values_json(result.class_accuracy)}};
  if (result.confusion.defined()) {
    json["confusion"] = Json::array();
    for (const auto& row : result.confusion.unbind(/*dim=*/0)) {
      const auto counts = row.contiguous();  // [classes]
      const auto* first = counts.const_data_ptr<int64_t>();
      json["confusion"].push_back(std::vector<int64_t>(first, first + counts.size(0)));
    }
  }
  return json;
}

Json accuracy_json(const std::optional<ClassificationResult>& result) {
  if (!result) {
    return {};
  }
  Json json{{"top1", result->top1}, {"top5", result->top5}, {"loss", result->loss}};
  if (result->mean_average_precision) {
    json["mean_average_precision"] = *result->mean_average_precision;
  }
  return json;
}

}  // namespace softmoe
