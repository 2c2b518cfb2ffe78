#include "train/hooks/tensorboard_hook.h"

#include <fmt/format.h>

namespace softmoe {

void TensorBoardHook::at_record(TrainingState& state, TrainingRecord& record) {
  const int64_t step = state.progress.step;
  for (const auto& [block, layer] : record.routing) {
    for (const auto& [name, value] : layer.summary()) {
      folder_.add_scalar(fmt::format("routing/block{}/{}", block, name), value, step);
    }
  }
  for (const auto& [group, norms] : record.update.norms) {
    folder_.add_scalar("grad_norm/" + group, norms.gradient, step);
    folder_.add_scalar("weight_norm/" + group, norms.weight, step);
  }
  folder_.add_scalar("train/loss", record.mean_loss, step);
  folder_.add_scalar("train/lr", state.last_rate(), step);
  folder_.add_scalar("train/grad_norm", record.update.gradient_norm, step);
  folder_.add_scalar("train/images_per_second", state.images_per_second(), step);
}

void TensorBoardHook::at_evaluation(TrainingState& state) {
  const int64_t step = state.progress.step;
  const auto& result = state.evaluation.result;
  folder_.add_scalar("eval/loss", result.loss, step);
  folder_.add_scalar("eval/top1", result.top1, step);
  folder_.add_scalar("eval/top5", result.top5, step);
  if (result.mean_average_precision) {
    folder_.add_scalar("eval/mean_average_precision", *result.mean_average_precision, step);
  } else {
    folder_.add_scalar("eval/balanced_accuracy", result.balanced_accuracy, step);
  }
  if (const auto& retrieval = state.evaluation.retrieval) {
    folder_.add_scalar("eval/text_recall_at_1", retrieval->text_of_image.at(1), step);
    folder_.add_scalar("eval/image_recall_at_1", retrieval->image_of_text.at(1), step);
  }
  for (size_t i = 0; i < state.evaluation.averages.size(); ++i) {
    const auto name = state.ema->averages()[i].name();
    folder_.add_scalar("eval/top1_ema_" + name, state.evaluation.averages[i].top1, step);
    folder_.add_scalar("eval/loss_ema_" + name, state.evaluation.averages[i].loss, step);
  }
}

}  // namespace softmoe
