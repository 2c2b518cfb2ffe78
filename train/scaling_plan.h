#pragma once
/// What training a model takes on many devices: memory, bytes between processes and time, computed
/// from published figures of the devices. docs/scaling.md says what is assumed.

#include <cstdint>
#include <string>
#include <vector>

#include "core/options.h"
#include "train/memory_plan.h"
#include "train/parallel_options.h"

namespace softmoe {

/// Devices and their networks. The defaults are NVIDIA's figures of a DGX H100: 80 GB, 989 TFLOP/s
/// of dense bf16 products, 3.35 TB/s of memory, NVLink of 450 GB/s each way, a 400 Gbit/s card per
/// device.
struct ScalingOptions {
  std::vector<int64_t> processes{8, 16, 32, 64, 128, 256, 512};  ///< one device each
  ParallelOptions parallel{.expert_parallel = 0};                ///< 0: the fastest that fits
  int64_t batch_size = 4096;  ///< images of an update, of all processes
  Precision compute = Precision::kBFloat16;
  double memory = 80;              ///< GB of a device
  double teraflops = 989;          ///< of a device
  double utilization = 0.4;        ///< share of these that training reaches
  double memory_bandwidth = 3350;  ///< GB/s of a device
  int64_t machine_size = 8;        ///< devices of a machine
  double bandwidth = 450;          ///< GB/s that a device sends within a machine
  double network = 50;             ///< GB/s that a device sends to other machines

  bool operator==(const ScalingOptions&) const = default;
};

void describe(OptionTable& table, ScalingOptions& options);

/// Bytes that one process sends to others in one update.
struct PlannedTraffic {
  double exchanged = 0.0;  ///< of tokens to experts and back, with their gradients
  double summed = 0.0;     ///< of gradients
};

/// What an update of `options.train.grad_accum_steps` batches of `options.loader.batch_size` images
/// sends, in `processes` that share experts as `options.parallel` says. Sparse routers are counted
/// with the most rows that they fill.
PlannedTraffic planned_traffic(const VitOptions& model, const RunOptions& options,
                               int64_t processes);

/// One update on a number of devices.
struct ScalingRow {
  int64_t processes = 1;
  int64_t expert_parallel = 1;
  int64_t images = 0;   ///< of one batch, in one process
  int64_t batches = 1;  ///< of an update
  bool recomputes = false;
  bool fits = true;
  MemoryPlan memory = {};
  PlannedTraffic traffic = {};
  double compute_seconds = 0.0;
  double exchange_seconds = 0.0;
  double sum_seconds = 0.0;     ///< in which gradients are summed, beside the backward pass
  double update_seconds = 0.0;  ///< of the optimizer

  /// What is not hidden behind the backward pass is added.
  double seconds() const;
};
Json to_json(const ScalingRow& row);

/// The update of `model` on each number of processes of `scaling`, by the optimizer of `run`, with
/// batches as large as the memory allows. Throws UsageError for numbers that do not fit each other.
std::vector<ScalingRow> plan_scaling(const VitOptions& model, const RunOptions& run,
                                     const ScalingOptions& scaling);

/// The rows as a table.
std::string scaling_table(const std::vector<ScalingRow>& rows, int64_t images);

}  // namespace softmoe
