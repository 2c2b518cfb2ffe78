#include "eval/multi_label_metrics.h"

#include <ATen/ops/binary_cross_entropy_with_logits.h>
#include <ATen/ops/constant_pad_nd.h>
#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "core/tensor_check.h"
#include "eval/average_precision.h"

namespace softmoe {
namespace {

constexpr int64_t kFirst = 5;

}  // namespace

void MultiLabelMetrics::add(const torch::Tensor& logits, const torch::Tensor& labels) {
  check_shape("MultiLabelMetrics: logits", logits, {-1, num_classes_});
  check_shape("MultiLabelMetrics: labels", labels, {logits.size(0), -1});
  if (labels.size(1) > num_classes_) {
    throw InputError("labels", fmt::format("the {} classes of the model", num_classes_),
                     std::to_string(labels.size(1)));
  }
  const torch::NoGradGuard no_grad;
  const auto scores = logits.to(torch::kCPU, torch::kFloat32);  // [batch, classes]
  const auto present = at::constant_pad_nd(labels.cpu().to(torch::kFloat32),
                                           {0, num_classes_ - labels.size(1)});  // [batch, classes]
  const auto best = std::get<1>(scores.topk(std::min(kFirst, num_classes_), /*dim=*/1));
  const auto hits = present.gather(/*dim=*/1, best);  // [batch, first]
  examples_ += scores.size(0);
  labelled_ += present.amax(1).sum().item<double>();
  top1_ += hits.select(1, 0).sum().item<double>();
  top5_ += hits.amax(1).sum().item<double>();
  loss_ += at::binary_cross_entropy_with_logits(scores, present, /*weight=*/{}, /*pos_weight=*/{},
                                                at::Reduction::Sum)
               .item<double>();
  bad_ += scores.isfinite().all(/*dim=*/1).logical_not().sum().item<int64_t>();
  scores_.push_back(scores);
  present_.push_back(present.to(torch::kBool));
}

void MultiLabelMetrics::join(const World& world) {
  if (world.is_alone()) {
    return;
  }
  const auto none = torch::empty({0, num_classes_});
  scores_ = {world.gather(scores_.empty() ? none : torch::cat(scores_))};  // [images, classes]
  const auto present = present_.empty() ? none : torch::cat(present_);     // [own images, classes]
  present_ = {world.gather(present.to(torch::kUInt8)).to(torch::kBool)};   // [images, classes]
  const auto sums = torch::tensor(
      {static_cast<double>(examples_), labelled_, top1_, top5_, loss_, static_cast<double>(bad_)},
      torch::kFloat64);  // [6]
  world.sum(sums);
  const auto* values = sums.const_data_ptr<double>();
  examples_ = static_cast<int64_t>(values[0]);
  labelled_ = values[1];
  top1_ = values[2];
  top5_ = values[3];
  loss_ = values[4];
  bad_ = static_cast<int64_t>(values[5]);
}

double MultiLabelMetrics::share(double sum) const { return labelled_ > 0 ? sum / labelled_ : 0.0; }

std::string MultiLabelMetrics::note() const {
  return examples_ == 0 ? ""
                        : fmt::format("loss {:.4f}  Acc@1 {:.3f}  Acc@5 {:.3f}",
                                      loss_ / static_cast<double>(examples_), 100 * share(top1_),
                                      100 * share(top5_));
}

ClassificationResult MultiLabelMetrics::result() const {
  if (examples_ == 0) {
    throw InputError("evaluation", "at least one image", "none");
  }
  if (bad_ > 0) {
    throw InputError("logits", "finite numbers",
                     fmt::format("NaN or infinity for {} of {} images", bad_, examples_));
  }
  const auto present = torch::cat(present_);  // [images, classes]
  ClassificationResult result{.examples = examples_,
                              .top1 = share(top1_),
                              .top5 = share(top5_),
                              .loss = loss_ / static_cast<double>(examples_)};
  result.average_precision = average_precision(torch::cat(scores_), present);
  result.mean_average_precision = mean_of_present(result.average_precision);
  const auto counts = present.sum(/*dim=*/0);  // [classes]
  for (int64_t label = 0; label < num_classes_; ++label) {
    result.class_examples.push_back(counts[label].item<int64_t>());
  }
  return result;
}

}  // namespace softmoe
