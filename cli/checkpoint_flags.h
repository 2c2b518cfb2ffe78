#pragma once
/// Flags that several commands have about the checkpoint that they read.

#include <torch/types.h>

#include <functional>
#include <string>

#include "core/error.h"
#include "core/options.h"

namespace softmoe::cli {

/// Describes the option `--checkpoint` of commands that use a model without changing it.
void describe_checkpoint(OptionTable& table, std::string& checkpoint);

/// Throws UsageError if `output` is a file that is read as `checkpoint`, which may be a folder or
/// the index of shards.
void check_output(const std::string& checkpoint, const std::string& output);

/// Describes the option `--amp-dtype` of commands that predict; `automatic` is what "auto" means.
void describe_inference_dtype(OptionTable& table, std::string& dtype, const std::string& automatic);

/// Returns what `make` returns, a model that predicts. If it does not have the dtype, UsageError
/// names `--amp-dtype`.
template <typename Make>
auto with_dtype_flag(const Make& make) {
  try {
    return make();
  } catch (const UsageError& error) {
    throw UsageError("--amp-" + std::string(error.what()));
  }
}

/// Describes the option `--label` of commands whose results are about a checkpoint.
void describe_label(OptionTable& table, std::string& label);

/// What tables and plots call the model of a checkpoint: the name of its run's folder, or that of
/// the file if it is in no run folder.
std::string checkpoint_label(const std::string& checkpoint);

/// Runs `work`, which computes `batch_size` images at a time on `device`. Throws InputError that
/// names `--batch-size` if the available memory does not suffice.
void compute_batches(const torch::Device& device, int64_t batch_size,
                     const std::function<void()>& work);

}  // namespace softmoe::cli
