#include "train/hooks/checkpoint_hook.h"

#include <filesystem>
#include <utility>

namespace softmoe {

CheckpointHook::CheckpointHook(RunFolder& folder, std::function<Checkpoint()> collect)
    : folder_(folder), collect_(std::move(collect)) {}

void CheckpointHook::at_checkpoint(TrainingState& state) {
  const int64_t step = state.progress.step;
  const bool is_best = state.evaluation.step == step && state.evaluation.is_best;
  if (is_best || step != saved_step_) {
    save(state, is_best);
  }
}

void CheckpointHook::at_interrupt(TrainingState& state) { save(state, /*is_best=*/false); }

void CheckpointHook::load_state(TrainingState& state, const Json& /*progress*/) {
  saved_step_ = state.progress.step;
}

void CheckpointHook::save(const TrainingState& state, bool is_best) {
  folder_.flush();
  const auto checkpoint = collect_();
  folder_.save_checkpoint(
      state.progress.step, is_best, state.options().train.checkpoint_hist,
      [&checkpoint](const std::filesystem::path& path) { save_checkpoint(path, checkpoint); });
  saved_step_ = state.progress.step;
}

}  // namespace softmoe
