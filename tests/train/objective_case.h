#pragma once
/// A step after its forward pass, for tests of objectives.

#include <string>

#include "train/objectives.h"
#include "vit/small_models.h"

namespace softmoe::test {

/// A sparse model after a forward pass, and options that ask for every objective.
class ObjectiveCase {
 public:
  explicit ObjectiveCase(const std::string& router = "tokens_choice") {
    model_options_ = test::small_moe_options(router);
    auto model = test::lively_model(model_options_);
    model->train();
    batch_ = {.images = test::random_images(model_options_, 5),
              .labels = torch::tensor({3, 0, 6, 6, 1}),
              .indices = {}};
    options_.router_losses.coefficients.fill(0.25);
    options_.distillation.emplace().features = {1};
    routing_ = model->routing_records(wanted_routing(options_));
    logits_ = model->forward(batch_.images, &routing_);           // [batch, classes]
    teacher_ = torch::randn(logits_.sizes()).softmax(/*dim=*/1);  // [batch, classes]
  }

  StepContext context() const {
    return {.batch = batch_,
            .logits = logits_,
            .routing = routing_,
            .image_losses = classification_losses(options_.loss, logits_, batch_.labels).detach(),
            .distillation_logits = logits_,
            .teacher = teacher_,
            .matched = {matched_},
            .pairs = pairs_};
  }
  const ObjectiveOptions& options() const { return options_; }
  /// Options that ask for `row`: all objectives but those of images and texts, or these.
  ObjectiveOptions options_for(const ObjectiveRow& row) const {
    auto options = options_;
    options.contrastive.objective =
        row.is_on(options_) ? TrainingObjective::kClassification : TrainingObjective::kContrastive;
    return options;
  }

 private:
  VitOptions model_options_;
  ObjectiveOptions options_;
  Batch batch_;
  RoutingRecords routing_;
  torch::Tensor logits_;
  torch::Tensor teacher_;
  MatchedTokens matched_{.student = torch::randn({5, 6, 9}).requires_grad_(),
                         .teacher = torch::randn({5, 6, 9})};
  EmbeddedPairs pairs_{.images = torch::randn({5, 3}).requires_grad_(),
                       .texts = torch::randn({5, 3}).requires_grad_(),
                       .log_scale = torch::ones({}),
                       .bias = torch::ones({})};
};

}  // namespace softmoe::test
