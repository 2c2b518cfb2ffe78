#include "train/hooks/checkpoint_hook.h"

#include <fmt/format.h>

#include <filesystem>
#include <utility>

#include "core/log.h"
#include "train/not_finite.h"

namespace softmoe {

CheckpointHook::CheckpointHook(RunFolder& folder, std::function<Checkpoint()> collect)
    : folder_(folder), collect_(std::move(collect)) {}

void CheckpointHook::at_checkpoint(TrainingState& state) {
  const int64_t step = state.progress.step;
  const bool is_best = state.evaluation.step == step && state.evaluation.is_best;
  if (is_best || step != saved_step_) {
    save(state, is_best);
    saved_step_ = step;
  }
}

void CheckpointHook::at_save(TrainingState& state) { save(state, /*is_best=*/false); }

void CheckpointHook::load_state(TrainingState& state, const Json& /*progress*/) {
  saved_step_ = state.progress.step;
}

void CheckpointHook::save(TrainingState& state, bool is_best) {
  const auto& setup = state.setup;
  const auto bad = bad_parameter(state.setup.model());
  if (setup.experts ? setup.world.any(!bad.empty()) : !bad.empty()) {
    log_line(fmt::format("not saved after update {}: parameter {} is NaN or infinite",
                         state.progress.step, bad.empty() ? "of another process" : bad));
    return;
  }
  folder_.flush();
  const auto checkpoint = collect_();
  folder_.save_checkpoint(state.progress.step, is_best, state.options().train.checkpoint_hist,
                          [&](const std::filesystem::path& path) {
                            save_whole(setup.experts.get(), path, checkpoint);
                          });
  if (setup.experts && !setup.world.is_first()) {
    setup.experts->give_parts(checkpoint);
  }
}

}  // namespace softmoe
