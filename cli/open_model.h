#pragma once
/// Checkpoints for commands that use a model, within the memory that there is.

#include <functional>
#include <string>

#include "checkpoints/model_checkpoint.h"
#include "core/error.h"

namespace softmoe::cli {

/// What `make` gives, a model that predicts; where it does not have the dtype, UsageError names
/// `--amp-dtype`.
template <typename Make>
auto with_dtype_flag(const Make& make) {
  try {
    return make();
  } catch (const UsageError& error) {
    throw UsageError("--amp-" + std::string(error.what()));
  }
}

/// Describes the option `--checkpoint` of commands that use a model as it is.
void describe_checkpoint(OptionTable& table, std::string& checkpoint);

/// Reads the model of `checkpoint` onto `device`. Throws InputError like load_model, and before
/// anything is read where its weights need more memory than is available.
LoadedModel open_model(const std::string& checkpoint, const torch::Device& device);

/// The weights of `checkpoint` in the dtype that they have there, for a model that is to compute on
/// `device`. Throws like open_model.
LoadedWeights open_weights(const std::string& checkpoint, const torch::Device& device);

/// Logs the first of `weights`, of `checkpoint`, that has values which are no finite numbers.
void note_odd_values(const NamedTensors& weights, const std::string& checkpoint);

/// Describes the option `--amp-dtype` of commands that predict; `automatic` is what "auto" means.
void describe_inference_dtype(OptionTable& table, std::string& dtype, const std::string& automatic);

/// What tables and plots call the model of a checkpoint: the name of its run's folder, or that of
/// the file where it lies in none.
std::string checkpoint_label(const std::string& checkpoint);

/// Describes the option `--label` of commands whose results are about a checkpoint.
void describe_label(OptionTable& table, std::string& label);

/// Runs `work`, which computes `batch_size` images at a time on `device`. Where the memory that is
/// available does not suffice, throws InputError that says so.
void compute_batches(const torch::Device& device, int64_t batch_size,
                     const std::function<void()>& work);

}  // namespace softmoe::cli
