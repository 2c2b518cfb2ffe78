#include "train/hooks/evaluation_hook.h"

#include <algorithm>
#include <utility>

#include "eval/evaluate.h"
#include "train/world_rules.h"

namespace softmoe {

EvaluationHook::EvaluationHook(const Dataset& val_set, Transform transform,
                               std::function<void()> before_batch)
    : val_set_(val_set), transform_(std::move(transform)), before_batch_(std::move(before_batch)) {}

void EvaluationHook::at_evaluation(TrainingState& state) {
  auto measured = evaluate_state(state);
  const double score = measured.result.score();
  auto& progress = state.progress;
  progress.evaluated_step = progress.step;
  const bool is_best = score > progress.best_score;
  ++progress.evaluations_since_best;
  if (is_best) {
    progress.best_score = score;
    progress.best_step = progress.step;
    progress.evaluations_since_best = 0;
  }
  const auto updates = static_cast<double>(std::max<int64_t>(1, progress.epoch_updates));
  state.evaluation = std::move(measured);
  state.evaluation.step = progress.step;
  state.evaluation.train_loss = progress.epoch_loss / updates;
  state.evaluation.is_best = is_best;
  if (state.ema) {
    for (auto& average : state.ema->averages()) {
      state.evaluation.averages.push_back(evaluate_average(state, *average.model));
    }
  }
  progress.epoch_loss = 0.0;
  progress.epoch_updates = 0;
}

void EvaluationHook::at_end(TrainingState& state) {
  if (state.evaluation.step < 0) {
    state.evaluation = evaluate_state(state);
  }
}

Evaluation EvaluationHook::evaluate_state(TrainingState& state) const {
  Evaluation measured;
  if (const auto& run = state.setup.instruction) {
    measured.tasks =
        evaluate_instruction(*run, transform_, state.options().loader, loop_options(state));
    measured.result = measured.tasks->result();
    return measured;
  }
  if (!state.setup.image_text) {
    measured.result = evaluate_model(state, *state.model());
    return measured;
  }
  auto& run = *state.setup.image_text;
  run.set_training(false);
  auto evaluation = evaluate_pairs(state, *run.model);
  run.set_training(true);
  measured.retrieval = std::move(evaluation.retrieval);
  measured.result = std::move(evaluation.result);
  return measured;
}

ClassificationResult EvaluationHook::evaluate_average(const TrainingState& state,
                                                      torch::nn::Module& model) const {
  return state.setup.image_text
             ? evaluate_pairs(state, dynamic_cast<ImageTextModelImpl&>(model)).result
             : evaluate_model(state, dynamic_cast<VisionTransformerImpl&>(model));
}

ImageTextEvaluation EvaluationHook::evaluate_pairs(const TrainingState& state,
                                                   ImageTextModelImpl& model) const {
  return evaluate_image_text(*state.setup.image_text, model, val_set_, transform_,
                             state.options().loader, state.options().objectives,
                             loop_options(state));
}

BatchLoopOptions EvaluationHook::loop_options(const TrainingState& state) const {
  return {.device = state.setup.device,
          .dtype = state.compute_dtype,
          .images = val_set_.size(),
          .before_batch = before_batch_,
          .world = state.setup.world};
}

ClassificationResult EvaluationHook::evaluate_model(const TrainingState& state,
                                                    VisionTransformerImpl& model) const {
  auto options = state.options().loader;
  options.shuffle = false;
  options.drop_last = false;
  options.share = batch_share(state.setup);
  Loader loader(val_set_, transform_, options);
  const bool was_training = model.is_training();
  model.eval();
  auto loop = loop_options(state);
  if (state.setup.experts) {
    const auto& sizes = model.options();
    loop.together = state.setup.experts->group();
    loop.idle_images = torch::zeros({1, sizes.in_chans, sizes.image_height(), sizes.image_width()});
  }
  auto result = evaluate([&model](const torch::Tensor& images) { return model.forward(images); },
                         loader, model.options().num_classes,
                         loss_row(state.options().objectives.loss.loss).likelihood, loop);
  model.train(was_training);
  return result;
}

}  // namespace softmoe
