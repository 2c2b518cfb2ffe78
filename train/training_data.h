#pragma once
/// The data sets of a training run, and the options that follow from them.

#include <memory>
#include <set>
#include <string>

#include "datasets/dataset.h"
#include "train/run_options.h"
#include "vit/options.h"

namespace softmoe {

/// The training and validation sets of a run, which have the same classes.
struct TrainingData {
  std::unique_ptr<Dataset> train;
  std::unique_ptr<Dataset> val;
};

/// Opens both sets. Throws InputError if one is empty, if the classes of the sets differ, if there
/// are less than two classes and not both have captions (which DatasetOptions::captions asks for),
/// and what make_dataset() throws.
TrainingData open_training_data(const DatasetOptions& options);

/// Sets what follows from the data and from the model: the classes of `model` from the data set,
/// mirroring from its source, usual values from the optimizer, the coefficients of router losses
/// from the router, the input size of the preprocessing from `model`, the loss of multi-label sets.
/// Options whose names (as describe() has them) are in `keep` stay as they are. Throws UsageError
/// if "input-size" is in `keep` and is not what the model takes, or "num-classes" and less than the
/// data have, and what image_size_stages() throws.
void fit_options(RunOptions& options, VitOptions& model, const TrainingData& data,
                 const std::set<std::string>& keep = {});

/// Sets the coefficients of router losses whose flags are not in `keep` to those that the router of
/// `model` usually has.
void fit_router_losses(RouterLossOptions& losses, const VitOptions& model,
                       const std::set<std::string>& keep);

/// Sets the bias that the head of a new model starts with, if the loss of `options` asks for one.
void fit_head_bias(const LossOptions& options, VitOptions& model);

/// Sets the input size of `preprocess` to what `model` takes: its channels, height and width.
void fit_preprocessing(PreprocessOptions& preprocess, const VitOptions& model);

}  // namespace softmoe
