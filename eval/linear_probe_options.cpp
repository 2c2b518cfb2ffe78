#include "eval/linear_probe_options.h"

#include <fmt/format.h>

#include <cmath>

#include "core/error.h"

namespace softmoe {

void describe(OptionTable& table, LinearProbeOptions& options) {
  table.add("learning-rates", options.learning_rates,
            "learning rates above 0 for batches of 256, scaled in proportion to "
            "--probe-batch-size; of several, the one that is best on held-out training images is "
            "chosen",
            {.min = 0});
  table.add("epochs", options.epochs, "length of training, in parts of --epoch-length", {.min = 1});
  table.add("epoch-length", options.epoch_length,
            "updates that count as an epoch, whatever the number of training images",
            {.unit = "updates", .min = 1});
  table.add("probe-batch-size", options.probe_batch_size,
            "images of one update; those of --batch-size are computed together by the model",
            {.unit = "images", .min = 1});
  table.add("held-out", options.held_out,
            "share of each class's training images on which the learning rate is chosen; at least "
            "one image of each class with two or more",
            {.min = 0, .max = 0.9});
  describe(table, options.sampling);
  table.add("seed", options.seed,
            "of first weights, order of images, held-out images, --views and --features random", {.min = 0});
}

void validate(const LinearProbeOptions& options) {
  if (options.learning_rates.empty()) {
    throw UsageError("learning-rates", "at least one number", "none");
  }
  for (const double rate : options.learning_rates) {
    if (!(rate > 0) || !std::isfinite(rate)) {
      throw UsageError("learning-rates", "positive numbers", fmt::format("{:g}", rate));
    }
  }
  for (const auto& [name, value] : {std::pair{"epochs", options.epochs},
                                    {"epoch-length", options.epoch_length},
                                    {"probe-batch-size", options.probe_batch_size}}) {
    if (value < 1) {
      throw UsageError(name, "a positive number", std::to_string(value));
    }
  }
  if (!(options.held_out >= 0 && options.held_out < 1)) {
    throw UsageError("held-out", "a share from 0 to below 1",
                     fmt::format("{:g}", options.held_out));
  }
}

}  // namespace softmoe
