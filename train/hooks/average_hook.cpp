#include "train/hooks/average_hook.h"

#include "checkpoints/module_tensors.h"

namespace softmoe {

void AverageHook::at_evaluation(TrainingState& state) {
  for (size_t i = 0; i < state.evaluation.averages.size(); ++i) {
    auto& average = state.ema->averages()[i];
    const double score = state.evaluation.averages[i].score();
    if (score <= average.best_score) {
      continue;
    }
    average.best_score = score;
    const auto* const experts = state.setup.experts.get();
    if (!state.setup.world.is_first() && experts == nullptr) {
      continue;
    }
    auto checkpoint = to_checkpoint(state);
    checkpoint.model = named_tensors(*average.model);
    checkpoint.optimizer.clear();
    checkpoint.ema.clear();
    checkpoint.helpers.clear();
    if (state.setup.world.is_first()) {
      save_whole(experts, folder_.path() / ("ema-" + average.name() + ".h5"), checkpoint);
    } else {
      experts->give_parts(checkpoint);
    }
  }
}

void AverageHook::save_state(const TrainingState& state, Json& progress) const {
  if (!state.ema) {
    return;
  }
  for (const auto& average : state.ema->averages()) {
    progress["ema_best_top1"].push_back(average.best_score);
  }
}

void AverageHook::load_state(TrainingState& state, const Json& progress) {
  if (!state.ema) {
    return;
  }
  for (size_t i = 0; i < state.ema->averages().size(); ++i) {
    state.ema->averages()[i].best_score = progress.at("ema_best_top1").at(i);
  }
}

}  // namespace softmoe
