#include "train/hooks/progress_bar_hook.h"

#include <fmt/format.h>

namespace softmoe {

void ProgressBarHook::after_update(TrainingState& state, const ModelUpdate& update) {
  if (progress_style() != ProgressStyle::kBar) {
    return;
  }
  if (!progress_) {
    progress_ = std::make_unique<Progress>("Train", state.length.total_steps(), "updates");
  }
  progress_->set_total(state.length.total_steps());
  progress_->update(
      state.progress.step,
      fmt::format("{:.0f} img/s  loss {:.4f}  lr {:.2e}  data {:.0f}%", state.images_per_second(),
                  update.loss, state.last_rate(), 100.0 * state.data_share()),
      state.seconds_left());
}

void ProgressBarHook::at_evaluation(TrainingState& /*state*/) { progress_.reset(); }

}  // namespace softmoe
