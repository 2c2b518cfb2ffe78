#pragma once
/// The options of a training run, beside those of the model, data, optimizer, schedule and loss.

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "core/duration.h"
#include "core/options.h"

namespace softmoe {

/// What follows a loss or gradient that is NaN or infinite.
enum class OnNan {
  kStop,      ///< the run ends
  kSkip,      ///< the batches of the update are left out
  kRollback,  ///< back to the last checkpoint, wherever an interruption or evaluation has left it;
              ///< the batches since then are left out
};
template <>
inline constexpr std::array<EnumName<OnNan>, 3> kEnumNames<OnNan>{
    {{OnNan::kStop, "stop"}, {OnNan::kSkip, "skip"}, {OnNan::kRollback, "rollback"}}};

/// How long and in which steps to train, and what to record. Intervals in epochs may be fractions.
struct TrainOptions {
  double epochs = 10;              ///< counts if `max_time` is 0
  Duration max_time = {};          ///< of training; 0: the run has a number of epochs
  int64_t max_steps = 0;           ///< ends the run earlier; 0: no limit
  int64_t max_examples = 0;        ///< ends the run earlier; 0: no limit
  int64_t patience = 0;            ///< evaluations without a new best that end the run; 0: none do
  int64_t grad_accum_steps = 1;    ///< batches whose gradients are averaged for one update
  std::string amp_dtype = "auto";  ///< compute dtype; auto: bf16 if the processor has it
  double eval_interval = 1;        ///< epochs between evaluations
  double checkpoint_interval = 1;  ///< epochs between checkpoints
  int64_t checkpoint_hist = 2;     ///< newest checkpoints kept beside last and best
  int64_t log_interval = 50;       ///< updates between log lines and metrics records
  int64_t idle_steps = 500;        ///< updates without a token before a warning of an expert
  OnNan on_nan = OnNan::kStop;
  int64_t profile = 0;                   ///< updates whose time is recorded part by part
  bool grad_checkpointing = false;       ///< activations of blocks are computed again, not kept
  std::string image_size_schedule = {};  ///< train/image_sizes.h; empty: one size
  bool model_ema = false;                ///< keep averages of the weights
  std::vector<double> model_ema_decay{0.9998};
  bool model_ema_warmup = false;
  std::string pp = {};          ///< the transform of training images as one text; empty: by options
  std::string fit_memory = {};  ///< such as "20GiB", which the run is to fit into; empty: any
  int64_t seed = 0;
  std::string output = "runs";
  std::string experiment;  ///< name of the run's folder; empty: date, time and model

  bool operator==(const TrainOptions&) const = default;
};

void describe(OptionTable& table, TrainOptions& options);

}  // namespace softmoe
