#pragma once
/// Trains a model in a run folder: what `softmoe train` and `softmoe finetune` do.
///
///     RunOptions options;
///     options.data.dataset = "digits";
///     options.train.experiment = "digits";
///     auto model = model_preset("softmoe_ti16_8e");
///     const auto data = open_training_data(options.data);
///     fit_options(options, model, data);
///     const auto result = run_training({.start = fresh_start("softmoe_ti16_8e", model, 0),
///                                       .options = options},
///                                      data);

#include "train/train_result.h"
#include "train/training_data.h"
#include "train/training_setup.h"

namespace softmoe {

/// Trains to the end in the folder `output`/`experiment` of `setup.options.train`, or of the date
/// and the model's name if `experiment` is empty. A run that is in the folder already resumes.
/// Routers that learn from a sample of the training set do so before a new run begins. Throws
/// InputError if the folder cannot be written or too many validation images cannot be read, and
/// what Trainer throws. If `setup` has a world of several processes, all of them call this; throws
/// UsageError then if a part of the run needs whole batches, and InputError that names the rank if
/// their options or data differ or if one of them ends.
TrainResult run_training(TrainingSetup setup, const TrainingData& data);

}  // namespace softmoe
