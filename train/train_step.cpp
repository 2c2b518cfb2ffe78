#include "train/train_step.h"

#include <utility>

#include "runtime/autocast_guard.h"
#include "runtime/profiler.h"
#include "train/feature_matcher.h"
#include "train/instruction_run.h"
#include "train/joint_pairs.h"
#include "train/objectives.h"
#include "train/teacher.h"

namespace softmoe {
namespace {

/// What the teachers of `options` say of the images of `batch` goes to `context`.
void ask_teachers(const Batch& batch, const DistillationOptions& distillation,
                  const StepOptions& options, StepContext& context) {
  TORCH_CHECK_VALUE(options.teacher != nullptr, "step_loss: distillation without a teacher");
  const ProfilePart part("teacher");
  context.teacher =
      options.teacher->probabilities(batch, distillation.temperature);  // [batch, classes]
}

/// The forward pass of a student. A distillation token's head learns from the teachers alone, and
/// the class token's from the labels alone.
void forward_student(VisionTransformer& model, const Batch& batch, const StepOptions& options,
                     RoutingRecords* routing, StepContext& context) {
  std::vector<torch::Tensor> tokens;  // before the first block and behind each
  TokenVisitor visit;
  if (options.matcher != nullptr) {
    visit = [&tokens](const torch::Tensor& behind) { tokens.push_back(behind); };
  }
  const auto features =
      model->forward_features(batch.images, routing, visit);  // [batch, feature_dim]
  const auto logits = model->head_logits(features);
  context.logits = logits.front();              // [batch, classes]
  context.distillation_logits = logits.back();  // [batch, classes]
  if (options.matcher != nullptr) {
    context.matched = options.matcher->match(batch, tokens);
  }
}

/// The forward pass without teachers. Of very many classes, the logits are left to the loss.
void forward_classifier(VisionTransformer& model, const Batch& batch,
                        const ObjectiveOptions& objectives, RoutingRecords* routing,
                        StepContext& context) {
  const int64_t images = batch.images.size(0);
  context.loss_rows = loss_rows(objectives.loss, images, model->options().num_classes);
  if (context.loss_rows >= images) {
    context.logits = model->forward(batch.images, routing);  // [batch, classes]
    return;
  }
  context.features = model->forward_features(batch.images, routing);  // [batch, feature_dim]
  context.head = [model = model](const torch::Tensor& x) mutable {
    const ProfilePart part("head");
    return model->forward_head(x);  // [rows, classes]
  };
}

/// The forward pass of a model that follows instructions: its classes are the answers that can be
/// given to each question.
void forward_questions(InstructionRun& run, const Batch& batch, const RoutingWants& wants,
                       RoutingRecords* routing, StepContext& context) {
  auto& model = run.model;
  auto of_texts = routing == nullptr ? RoutingRecords() : model->text->routing_records(wants);
  context.logits = answer_logits(model, batch, routing,
                                 routing == nullptr ? nullptr : &of_texts);  // [batch, choices]
  if (routing != nullptr) {
    append_text_records(*routing, std::move(of_texts), model->options().image.depth);
  }
}

}  // namespace

StepResult step_loss(VisionTransformer& model, const Batch& batch,
                     const ObjectiveOptions& objectives, const StepOptions& options) {
  StepContext context{.batch = batch, .progress = options.progress};
  if (objectives.distillation) {
    ask_teachers(batch, *objectives.distillation, options, context);
  }
  const AutocastGuard autocast(batch.images.device(), options.compute_dtype);
  auto wants = wanted_routing(objectives);
  wants.load = wants.load || options.record_load;
  const bool wants_routing = wants.weights || wants.scores || wants.load;
  context.routing = wants_routing ? model->routing_records(wants) : RoutingRecords();
  auto* const routing = wants_routing ? &context.routing : nullptr;
  {
    const ProfilePart part("forward");
    if (options.image_text != nullptr) {
      context.pairs = embed_pairs(*options.image_text, batch, wants, routing);
      context.joint = options.joint != nullptr ? *options.joint : JointGradients();
    } else if (options.instruction != nullptr) {
      forward_questions(*options.instruction, batch, wants, routing, context);
    } else if (objectives.distillation) {
      forward_student(model, batch, options, routing, context);
    } else {
      forward_classifier(model, batch, objectives, routing, context);
    }
  }
  const ProfilePart part("loss");
  StepResult result;
  if (options.record_load) {
    for (const auto& [block, record] : context.routing) {
      if (block < model->options().depth) {  // those of a text tower come behind
        result.loads[block] = record.load;
      }
    }
  }
  auto objective = objective_loss(objectives, std::move(context));
  result.loss = std::move(objective.loss);  // []
  result.values = std::move(objective.values);
  std::erase_if(result.values,
                [&](const auto& item) { return item.first >= model->options().depth; });
  result.parts = std::move(objective.parts);
  return result;
}

StepResult train_step(VisionTransformer& model, const Batch& batch,
                      const ObjectiveOptions& objectives, const StepOptions& options) {
  auto result = step_loss(model, batch, objectives, options);
  const ProfilePart part("backward");
  const double weight = options.loss_weight / static_cast<double>(options.batches);
  (weight != 1.0 ? result.loss * weight : result.loss).backward();
  result.loss = result.loss.detach();  // []
  return result;
}

}  // namespace softmoe
