#include "train/scaling_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <tuple>

#include "core/error.h"
#include "core/table.h"
#include "core/text_format.h"
#include "softmoe/routers.h"
#include "vit/cost.h"
#include "vit/moe_blocks.h"

namespace softmoe {
namespace {

constexpr double kGiga = 1e9;
/// Bytes that an update of AdamW reads and writes per parameter: gradient, weight and two moments
/// are read, the latter three written.
constexpr double kUpdateBytes = 7 * 4;

double as_double(int64_t number) { return static_cast<double>(number); }

/// The share of what goes round or to all of `ranks` that leaves a process.
double leaving(int64_t ranks) { return as_double(ranks - 1) / as_double(ranks); }

double bytes_of(Precision precision) { return precision == Precision::kBFloat16 ? 2.0 : 4.0; }

/// Parameters of all experts, and all others.
struct ParameterCount {
  double experts = 0.0;
  double others = 0.0;
};

int64_t moe_layers(const VitOptions& model) {
  const auto mask = moe_block_mask(model.moe_blocks, model.depth);
  return std::count(mask.begin(), mask.end(), true);
}

ParameterCount count_parameters_of(const VitOptions& model) {
  ParameterCount count;
  if (has_moe(model)) {
    const auto layer = moe_layer_options(model);
    const double expert =
        as_double(2 * layer.dim * layer.hidden_dim + layer.dim + layer.hidden_dim);
    count.experts = as_double(moe_layers(model) * model.moe.experts) * expert;
  }
  count.others = as_double(model_cost(model).parameters()) - count.experts;
  return count;
}

/// How often the rows of a layer travel in one pass: to the experts and back, the gradients
/// likewise, and once more if the forward pass is computed again.
double trips(const VitOptions& model, const RunOptions& options) {
  const bool keeps_blocks = !router_row(model.moe.router).losses.empty();
  return options.train.grad_checkpointing && !keeps_blocks ? 6.0 : 4.0;
}

/// Seconds in which a process sends `bytes` among `ranks` in equal parts, those that leave the
/// machine over the network, at the same time.
double all_to_all_seconds(double bytes, int64_t ranks, const ScalingOptions& scaling) {
  const int64_t near = std::min(ranks, scaling.machine_size);
  const double others = as_double(std::max<int64_t>(1, ranks - 1));
  const double within = bytes * as_double(near - 1) / others / (scaling.bandwidth * kGiga);
  const double between = bytes * as_double(ranks - near) / others / (scaling.network * kGiga);
  return std::max(within, between);
}

/// Seconds in which `bytes` are summed over `ranks` processes, of which `near` are in one machine:
/// in each machine, then among machines, each process a part.
double sum_seconds_of(double bytes, int64_t ranks, int64_t near, const ScalingOptions& scaling) {
  const int64_t machines = std::max<int64_t>(1, ranks / near);
  return 2.0 * leaving(near) * bytes / (scaling.bandwidth * kGiga) +
         2.0 * leaving(machines) * bytes / as_double(near) / (scaling.network * kGiga);
}

/// Fills in the times of `row`.
void add_times(ScalingRow& row, const VitOptions& model, const ScalingOptions& scaling) {
  const auto count = count_parameters_of(model);
  const double passes = row.recomputes ? 4.0 : 3.0;  // a backward pass is two forward passes
  const double images = as_double(row.images * row.batches);
  row.compute_seconds =
      passes * model_cost(model).gflop * images / (scaling.teraflops * 1e3 * scaling.utilization);
  row.exchange_seconds = all_to_all_seconds(row.traffic.exchanged, row.expert_parallel, scaling);
  const double element = bytes_of(scaling.parallel.reduce_dtype);
  const int64_t near = std::min(row.processes, scaling.machine_size);
  const int64_t replicas = row.processes / row.expert_parallel;
  const int64_t near_replicas = std::max<int64_t>(1, near / row.expert_parallel);
  const double own_experts = count.experts / as_double(row.expert_parallel);
  row.sum_seconds = sum_seconds_of(element * count.others, row.processes, near, scaling) +
                    sum_seconds_of(element * own_experts, replicas, near_replicas, scaling);
  row.update_seconds =
      kUpdateBytes * (count.others + own_experts) / (scaling.memory_bandwidth * kGiga);
}

/// What parameters alone take, by the processes that share experts, and whether several have the
/// same dense parameters and the same experts.
using ParameterPlans = std::map<std::tuple<int64_t, bool, bool>, MemoryPlan>;

/// The largest batches of an update that fit into the memory, with experts on `ranks` processes.
ScalingRow fitted_row(const VitOptions& model, RunOptions run, const ScalingOptions& scaling,
                      int64_t processes, int64_t ranks, ParameterPlans& plans) {
  ScalingRow row{.processes = processes, .expert_parallel = ranks};
  const int64_t images = (scaling.batch_size + processes - 1) / processes;
  run.parallel.expert_parallel = ranks;
  auto& counted = plans[{ranks, processes > 1, processes > ranks}];
  if (counted.weights == 0) {
    counted = plan_memory(model, run, scaling.compute, processes);
  }
  row.memory = counted;
  const auto fits_with = [&](bool recompute, int64_t batches) {
    row.images = (images + batches - 1) / batches;
    row.batches = batches;
    row.recomputes = recompute;
    run.loader.batch_size = row.images * processes;
    run.train.grad_accum_steps = batches;
    run.train.grad_checkpointing = recompute;
    plan_batches(row.memory, model, run, scaling.compute, processes);
    return as_double(row.memory.process_peak()) <= scaling.memory * kGiga;
  };
  row.fits = false;
  for (const bool recompute : {false, true}) {
    for (int64_t batches = 1; !row.fits && batches <= images; batches *= 2) {
      row.fits = fits_with(recompute, batches);
    }
  }
  row.traffic = planned_traffic(model, run, processes);
  add_times(row, model, scaling);
  return row;
}

/// The processes that may share the experts of `model`.
std::vector<int64_t> groups_for(const VitOptions& model, const ScalingOptions& scaling,
                                int64_t processes) {
  const int64_t most = has_moe(model) ? std::gcd(processes, model.moe.experts) : 1;
  if (const int64_t wanted = scaling.parallel.expert_parallel; wanted > 0) {
    if (most % wanted != 0) {
      throw UsageError("--expert-parallel",
                       fmt::format("a divisor of {} processes and of the experts", processes),
                       std::to_string(wanted));
    }
    return {wanted};
  }
  std::vector<int64_t> groups;
  for (int64_t ranks = 1; ranks <= most; ++ranks) {
    if (most % ranks == 0) {
      groups.push_back(ranks);
    }
  }
  return groups;
}

}  // namespace

void describe(OptionTable& table, ScalingOptions& options) {
  table.add("processes", options.processes, "numbers of processes, with one device each",
            {.min = 1, .max = 1e6});
  table.add("expert-parallel", options.parallel.expert_parallel,
            "processes that hold the experts of each MoE layer together; 0: the fastest number for "
            "which the memory suffices",
            {.unit = "processes", .min = 0});
  table.add("batch-size", options.batch_size, "images of an update, of all processes together",
            {.unit = "images", .min = 1, .max = 1e9});
  table.add("compute-dtype", options.compute, "precision of products",
            {Precision::kFloat32, Precision::kBFloat16});
  describe_payloads(table, options.parallel);
  table.add("device-memory", options.memory, "memory of a device", {.unit = "GB", .min = 1});
  table.add("device-tflops", options.teraflops, "peak of a device in the precision of products",
            {.unit = "TFLOP/s", .min = 1e-3});
  table.add("utilization", options.utilization, "share of the peak that training reaches",
            {.min = 1e-3, .max = 1});
  table.add("memory-bandwidth", options.memory_bandwidth, "of a device",
            {.unit = "GB/s", .min = 1e-3});
  table.add("machine-size", options.machine_size, "devices of a machine", {.min = 1});
  table.add("bandwidth", options.bandwidth, "what a device sends to others of its machine",
            {.unit = "GB/s", .min = 1e-6});
  table.add("network", options.network, "what a device sends to other machines",
            {.unit = "GB/s", .min = 1e-6});
}

PlannedTraffic planned_traffic(const VitOptions& model, const RunOptions& options,
                               int64_t processes) {
  const auto count = count_parameters_of(model);
  const int64_t ranks = options.parallel.expert_parallel;
  PlannedTraffic traffic;
  const double element = bytes_of(options.parallel.reduce_dtype);
  traffic.summed = 2.0 * element *
                   (leaving(processes) * count.others +
                    leaving(processes / ranks) * count.experts / as_double(ranks));
  if (ranks > 1) {
    const auto& row = router_row(model.moe.router);
    const double images = as_double(options.loader.batch_size) / as_double(processes);
    const double rows = row.cost(moe_layer_options(model)).expert_rows * images;
    const double forwards = trips(model, options) / 2.0 - 1.0;
    const double numbers =
        row.kind == RoutingKind::kSparse ? forwards * 8.0 * as_double(model.moe.experts) : 0.0;
    const double layer = trips(model, options) * rows * as_double(model.dim) *
                             bytes_of(options.parallel.exchange_dtype) +
                         numbers;
    traffic.exchanged =
        as_double(moe_layers(model) * options.train.grad_accum_steps) * layer * leaving(ranks);
  }
  return traffic;
}

double ScalingRow::seconds() const {
  const double backward = compute_seconds * (recomputes ? 3.0 / 4.0 : 2.0 / 3.0) /
                          as_double(batches);  // of the last batch
  return compute_seconds + exchange_seconds + std::max(0.0, sum_seconds - backward) +
         update_seconds;
}

Json to_json(const ScalingRow& row) {
  return {{"processes", row.processes},
          {"expert_parallel", row.expert_parallel},
          {"images", row.images},
          {"batches", row.batches},
          {"grad_checkpointing", row.recomputes},
          {"fits", row.fits},
          {"memory_bytes", row.memory.process_peak()},
          {"exchanged_bytes", row.traffic.exchanged},
          {"summed_bytes", row.traffic.summed},
          {"compute_seconds", row.compute_seconds},
          {"exchange_seconds", row.exchange_seconds},
          {"sum_seconds", row.sum_seconds},
          {"update_seconds", row.update_seconds},
          {"seconds", row.seconds()}};
}

std::vector<ScalingRow> plan_scaling(const VitOptions& model, const RunOptions& run,
                                     const ScalingOptions& scaling) {
  validate(model);
  auto options = run;
  options.parallel = scaling.parallel;
  std::vector<ScalingRow> rows;
  ParameterPlans plans;
  for (const int64_t processes : scaling.processes) {
    if (processes > scaling.batch_size) {
      throw UsageError("--processes",
                       fmt::format("at most the {} images of an update", scaling.batch_size),
                       std::to_string(processes));
    }
    std::optional<ScalingRow> best;
    for (const int64_t ranks : groups_for(model, scaling, processes)) {
      const auto row = fitted_row(model, options, scaling, processes, ranks, plans);
      if (!best || !best->fits || (row.fits && row.seconds() < best->seconds())) {
        best = row;
      }
    }
    rows.push_back(*best);
  }
  return rows;
}

std::string scaling_table(const std::vector<ScalingRow>& rows, int64_t images) {
  TextTable table({"processes", "expert parallel", "batch", "recompute", "memory", "exchanged",
                   "summed", "compute s", "exchange s", "sum s", "update s", "step s", "img/s"});
  const auto seconds = [](double value) { return fmt::format("{:.3g}", value); };
  for (const auto& row : rows) {
    table.add_row({std::to_string(row.processes), std::to_string(row.expert_parallel),
                   fmt::format("{} x {}", row.batches, row.images), row.recomputes ? "yes" : "no",
                   format_bytes(as_double(row.memory.process_peak())) + (row.fits ? "" : " !"),
                   format_bytes(row.traffic.exchanged), format_bytes(row.traffic.summed),
                   seconds(row.compute_seconds), seconds(row.exchange_seconds),
                   seconds(row.sum_seconds), seconds(row.update_seconds), seconds(row.seconds()),
                   fmt::format("{:.0f}", as_double(images) / row.seconds())});
  }
  const bool all_fit =
      std::all_of(rows.begin(), rows.end(), [](const auto& row) { return row.fits; });
  return table.text() + (all_fit ? "" : "!: more than a device has\n");
}

}  // namespace softmoe
