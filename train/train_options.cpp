#include "train/train_options.h"

namespace softmoe {

void describe(OptionTable& table, TrainOptions& options) {
  table.add("epochs", options.epochs, "passes over the training set",
            {.unit = "epochs", .min = 0, .max = 1e9});
  table.add("max-time", options.max_time,
            "length of the run in time instead of --epochs: of updates and waiting for their data, "
            "without evaluations; the schedule is fitted to it; 0s: --epochs counts");
  table.add("max-steps", options.max_steps, "end after this many updates; 0: no limit",
            {.unit = "updates", .min = 0});
  table.add("max-examples", options.max_examples,
            "end after this many training images, counted each time they are seen; 0: no limit",
            {.unit = "images", .min = 0});
  table.add("patience", options.patience,
            "end after this many evaluations in a row without a new best top-1 (multi-label: mean "
            "average precision); 0: never",
            {.unit = "evaluations", .min = 0});
  table.add("grad-accum-steps", options.grad_accum_steps,
            "batches whose gradients are averaged for one update",
            {.unit = "batches", .min = 1, .max = 1e9});
  table.add("amp-dtype", options.amp_dtype,
            "compute dtype of training and evaluation; auto: bfloat16 if the hardware has it",
            {.choices = {"auto", "float32", "bfloat16"}});
  table.add("eval-interval", options.eval_interval,
            "interval between evaluations; fractions are allowed", {.unit = "epochs", .min = 1e-6});
  table.add("checkpoint-interval", options.checkpoint_interval,
            "interval between checkpoints; fractions are allowed", {.unit = "epochs", .min = 1e-6});
  table.add("checkpoint-hist", options.checkpoint_hist,
            "newest checkpoints kept by step, beside last and best", {.min = 0});
  table.add("log-interval", options.log_interval, "interval between log lines and metrics records",
            {.unit = "updates", .min = 1});
  table.add("idle-steps", options.idle_steps,
            "warn of experts that get no token in any record of this many updates; 0: never",
            {.unit = "updates", .min = 0});
  table.add(
      "on-nan", options.on_nan,
      "if a loss or gradient is NaN or infinite: stop, skip these batches, or roll back to the "
      "last checkpoint and skip all batches since");
  table.add("profile", options.profile,
            "record where the time of this many updates goes, after the first 3: a table per layer "
            "(profile.txt) and a trace for chrome://tracing or Perfetto (profile-trace.json); 0: "
            "none",
            {.unit = "updates", .min = 0});
  table.add("grad-checkpointing", options.grad_checkpointing,
            "keep no activations of blocks but compute them again in the backward pass: less "
            "memory, equal results");
  table.add("image-size-schedule", options.image_size_schedule,
            "sizes of training images as SIZE@SHARE of the run, such as 128@0,160@0.4,224@0.8: "
            "positions are interpolated, and the last size is --img-size; empty: one size",
            {.unit = "px"});
  table.add("pp", options.pp,
            "the transform of training images as one text instead of its options, as the log shows "
            "it: 'inception_crop(224)|flip_lr|randaug(2,15)'",
            {.unit = "steps"});
  table.add("fit-memory", options.fit_memory,
            "fit into this much memory, such as 20GiB: if necessary, --batch-size is divided among "
            "more --grad-accum-steps, or --grad-checkpointing is set; empty: as asked",
            {.unit = "bytes"});
  table.add("model-ema", options.model_ema,
            "keep moving averages of the weights, evaluate them and save the best as "
            "ema-<decay>.h5");
  table.add("model-ema-decay", options.model_ema_decay, "decays of --model-ema, one average each",
            {.min = 0, .max = 1});
  table.add("model-ema-warmup", options.model_ema_warmup,
            "limit the decays to 1 - (1 + updates)^(-2/3), for short runs");
  table.add("seed", options.seed, "seed of initial weights, data order, augmentation and dropout",
            {.min = 0});
  table.add("output", options.output, "folder of all runs", {.unit = "folder"});
  table.add("experiment", options.experiment,
            "name of this run's folder; a run that is in it resumes; empty: date and model");
}

}  // namespace softmoe
