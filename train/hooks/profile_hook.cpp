#include "train/hooks/profile_hook.h"

#include <fmt/format.h>

#include "benchmark/matmul_peak.h"
#include "core/log.h"
#include "core/pluralize.h"
#include "core/split_text.h"
#include "io/atomic_file.h"
#include "train/profile_table.h"

namespace softmoe {

ProfileHook::ProfileHook(RunFolder& folder, const TrainingState& state)
    : folder_(folder), peak_(measure_matmul_peak(state.setup.device, state.compute_dtype)) {}

void ProfileHook::after_update(TrainingState& state, const ModelUpdate& /*update*/) {
  const int64_t done = state.sitting.updates;
  if (done == kSkipped) {
    profiler_ = std::make_unique<Profiler>(state.setup.device);
  } else if (profiler_ && done == kSkipped + state.options().train.profile) {
    write(state, state.options().train.profile);
  }
}

void ProfileHook::at_end(TrainingState& state) {
  const int64_t recorded = state.sitting.updates - kSkipped;
  if (profiler_ && recorded > 0) {
    write(state, recorded);
  } else if (state.sitting.updates > 0 && recorded <= 0) {
    log_line(
        fmt::format("--profile: no profile, which begins after update {} of a start", kSkipped));
  }
}

void ProfileHook::write(const TrainingState& state, int64_t updates) {
  const auto events = profiler_->stop();
  profiler_.reset();
  const auto title = fmt::format("time of {} of {} images on {}, {:.0f} GFLOP/s at most\n",
                                 pluralize(updates, "update"), state.images_per_update(),
                                 state.setup.device.str(), peak_);
  auto model = state.setup.start.model->options();
  if (state.image_size > 0) {
    model.img_size = {state.image_size};
  }
  auto gflops = part_gflops(model);
  for (auto& [name, gflop] : gflops) {
    gflop *= static_cast<double>(state.images_per_update());
  }
  const auto table = title + profile_table(part_times(events), updates, gflops, peak_);
  write_text_file(folder_.path() / "profile.txt", table);
  write_text_file(folder_.path() / "profile-trace.json", chrome_trace(events));
  for (const auto& line : split_text(table, '\n')) {
    log_line(line);
  }
}

}  // namespace softmoe
