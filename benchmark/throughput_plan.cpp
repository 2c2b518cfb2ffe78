#include "benchmark/throughput_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "core/error.h"
#include "core/text_format.h"
#include "ops/compute_precision.h"
#include "runtime/memory/memory_use.h"

namespace softmoe {
namespace {

std::vector<ThroughputMode> modes_of(ThroughputMode mode) {
  if (mode == ThroughputMode::kBoth) {
    return {ThroughputMode::kInfer, ThroughputMode::kTrain};
  }
  return {mode};
}

/// The precisions that `names` stand for on `device`, each once.
std::vector<Precision> precisions_of(const std::vector<std::string>& names,
                                     const torch::Device& device) {
  std::vector<Precision> precisions;
  for (const auto& name : names) {
    const auto precision = name == "auto" ? fastest_precision(device) : parse_precision(name);
    if (std::find(precisions.begin(), precisions.end(), precision) == precisions.end()) {
      precisions.push_back(precision);
    }
  }
  return precisions;
}

/// All modes and precisions of `options`. Throws UsageError for training with 8-bit weights.
std::vector<ThroughputSetting> settings_of(const ThroughputOptions& options,
                                           const torch::Device& device) {
  std::vector<ThroughputSetting> settings;
  for (const auto mode : modes_of(options.mode)) {
    for (const auto precision : precisions_of(options.dtypes, device)) {
      if (mode == ThroughputMode::kTrain && has_8_bit_weights(precision)) {
        throw UsageError("dtypes", "floating point for training", enum_name(precision));
      }
      settings.push_back({mode, precision, device});
    }
  }
  return settings;
}

/// What the weights of a model need beside `available` bytes; empty if they fit.
std::string memory_problem(const ThroughputSubject& subject, const ThroughputSetting& setting,
                           int64_t available) {
  const int64_t bytes = weight_bytes(subject, setting.mode, setting.precision);
  return bytes <= available ? ""
                            : fmt::format("{} of {}", format_bytes(bytes),
                                          setting.mode == ThroughputMode::kTrain
                                              ? "weights, gradients and optimizer state"
                                              : "weights");
}

/// Why the machine should not run a batch; empty if it should.
std::string time_problem(const ThroughputSubject& subject, const PlannedSetting& planned,
                         int64_t batch, double max_seconds) {
  const double gflop = subject.gflop * passes_of(planned.setting.mode) * static_cast<double>(batch);
  const double seconds = gflop / planned.matmul_peak;
  return seconds <= max_seconds
             ? ""
             : fmt::format("one batch takes {:.1f} s at the matmul peak", seconds);
}

class Planner {
 public:
  Planner(const ThroughputOptions& options, ThroughputPlan& plan)
      : options_(options), plan_(plan) {}

  /// Adds `subject` to `planned`, and what the machine should not run to the cases left out.
  void add(const ThroughputSubject& subject, int64_t available, PlannedSetting& planned) {
    const auto problem = memory_problem(subject, planned.setting, available);
    if (!problem.empty() && !leaves_out()) {
      throw InputError(describe_case(subject, planned.setting),
                       fmt::format("at most the {} of memory available", format_bytes(available)),
                       problem);
    }
    PlannedSubject kept{.subject = &subject, .batch_sizes = {}};
    for (const int64_t batch : options_.batch_sizes) {
      const auto reason = !problem.empty() ? problem + " exceed the memory"
                          : leaves_out()
                              ? time_problem(subject, planned, batch, options_.max_batch_seconds)
                              : "";
      if (reason.empty()) {
        kept.batch_sizes.push_back(batch);
      } else {
        plan_.left_out.push_back({.model = subject.name,
                                  .mode = planned.setting.mode,
                                  .precision = planned.setting.precision,
                                  .batch_size = batch,
                                  .reason = reason});
      }
    }
    if (!kept.batch_sizes.empty()) {
      planned.subjects.push_back(std::move(kept));
    }
  }

 private:
  bool leaves_out() const { return options_.max_batch_seconds > 0; }

  const ThroughputOptions& options_;
  ThroughputPlan& plan_;
};

}  // namespace

ThroughputPlan plan_throughput(std::span<const ThroughputSubject> subjects,
                               const ThroughputOptions& options, const torch::Device& device,
                               const MatmulPeak& peak) {
  ThroughputPlan plan;
  std::map<torch::Dtype, double> peaks;
  Planner planner(options, plan);
  for (const auto& setting : settings_of(options, device)) {
    const auto products = product_dtype(setting.precision);
    if (!peaks.contains(products)) {
      peaks[products] = peak(device, products);
    }
    PlannedSetting planned{.setting = setting, .matmul_peak = peaks[products], .subjects = {}};
    const int64_t available = available_memory_bytes(device);
    for (const auto& subject : subjects) {
      planner.add(subject, available, planned);
    }
    plan.settings.push_back(std::move(planned));
  }
  return plan;
}

}  // namespace softmoe
