#include "benchmark/throughput.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "benchmark/contestant.h"
#include "benchmark/throughput_plan.h"
#include "benchmark/turns_left.h"
#include "core/error.h"
#include "core/progress.h"
#include "ops/compute_precision.h"
#include "runtime/memory/memory_limit.h"
#include "runtime/memory/memory_use.h"

namespace softmoe {
namespace {

/// Room for activations that must be left if models share the memory.
constexpr int64_t kActivationReserve = int64_t{2} << 30;

/// Measures the subjects of one setting, all in memory at once or one after the other.
class Group {
 public:
  Group(const PlannedSetting& planned, const ThroughputOptions& options, TurnsLeft& turns,
        Progress& progress)
      : planned_(planned), options_(options), turns_(turns), progress_(progress) {
    for (const auto& item : planned.subjects) {
      total_bytes_ += weight_bytes(*item.subject, planned.setting.mode, planned.setting.precision);
    }
  }

  std::vector<ThroughputRecord> measure() {
    std::vector<ThroughputRecord> records;
    const std::span<const PlannedSubject> subjects(planned_.subjects);
    const bool together =
        total_bytes_ + kActivationReserve <= available_memory_bytes(planned_.setting.device);
    if (together) {
      measure_together(subjects, records);
    } else {
      for (size_t i = 0; i < subjects.size(); ++i) {
        measure_together(subjects.subspan(i, 1), records);
      }
    }
    for (auto& record : records) {
      record.interleaved = together || subjects.size() == 1;
      record.matmul_peak_gflops = planned_.matmul_peak;
    }
    return records;
  }

 private:
  void measure_together(std::span<const PlannedSubject> subjects,
                        std::vector<ThroughputRecord>& records) {
    std::vector<Contestant> contestants;
    int64_t bytes = 0;
    for (const auto& item : subjects) {
      show("making " + item.subject->name);
      contestants.emplace_back(*item.subject, planned_.setting).warm_up();
      bytes += contestants.back().resident_bytes();
    }
    for (const int64_t batch : options_.batch_sizes) {
      std::vector<Contestant*> present;
      for (size_t i = 0; i < contestants.size(); ++i) {
        const auto& sizes = subjects[i].batch_sizes;
        if (std::find(sizes.begin(), sizes.end(), batch) != sizes.end()) {
          present.push_back(&contestants[i]);
        }
      }
      measure_batch(batch, present, bytes, records);
    }
  }

  /// Rounds of `contestants` at one batch size, while all models keep `bytes` in memory.
  void measure_batch(int64_t batch, const std::vector<Contestant*>& contestants, int64_t bytes,
                     std::vector<ThroughputRecord>& records) {
    for (auto* const contestant : contestants) {
      turns_.started(contestant->name(), batch, contestant->start(batch, options_.round_seconds));
    }
    for (int64_t round = 0; round < options_.rounds; ++round) {
      for (auto* const contestant : contestants) {
        turns_.finished(contestant->name(), batch, contestant->run_round());
        show(fmt::format("{}, batch size {}", contestant->name(), batch));
      }
    }
    for (const auto* const contestant : contestants) {
      records.push_back(contestant->record(bytes - contestant->resident_bytes()));
    }
  }

  void show(const std::string& note) { progress_.update(turns_.done(), note, turns_.seconds()); }

  const PlannedSetting& planned_;
  const ThroughputOptions& options_;
  TurnsLeft& turns_;
  Progress& progress_;
  int64_t total_bytes_ = 0;
};

TurnsLeft turns_of(const ThroughputPlan& plan, const ThroughputOptions& options) {
  TurnsLeft turns(options.round_seconds);
  for (const auto& [setting, peak, subjects] : plan.settings) {
    for (const auto& item : subjects) {
      for (const int64_t batch : item.batch_sizes) {
        turns.add(describe_case(*item.subject, setting),
                  item.subject->gflop * passes_of(setting.mode), batch, options.rounds);
      }
    }
  }
  return turns;
}

/// Makes a peak of what a model reached, if it was faster than all products that were measured.
void raise_peaks(std::vector<ThroughputRecord>& records) {
  std::map<torch::Dtype, double> peaks;
  for (const auto& record : records) {
    auto& peak = peaks[product_dtype(record.precision)];
    peak = std::max({peak, record.matmul_peak_gflops, record.rate().maximum * record.gflop});
  }
  for (auto& record : records) {
    record.matmul_peak_gflops = peaks.at(product_dtype(record.precision));
  }
}

/// The median over rounds of the ratio to the baseline's rate in the same round, unless that was
/// left out.
void add_ratios(std::vector<ThroughputRecord>& records, const std::string& baseline) {
  for (auto& record : records) {
    const auto base = std::find_if(records.begin(), records.end(), [&](const auto& other) {
      return other.model == baseline && other.mode == record.mode &&
             other.precision == record.precision && other.batch_size == record.batch_size;
    });
    if (base == records.end()) {
      continue;
    }
    std::vector<double> ratios;
    for (size_t round = 0; round < record.images_per_second.size(); ++round) {
      ratios.push_back(record.images_per_second[round] / base->images_per_second[round]);
    }
    record.ratio = spread_of(ratios).median;
  }
}

}  // namespace

void describe(OptionTable& table, ThroughputOptions& options) {
  table.add("mode", options.mode, "time inference, training steps or both");
  table.add("batch-sizes", options.batch_sizes, "batch sizes, never changed silently",
            {.unit = "images", .min = 1});
  table.add(
      "dtypes", options.dtypes,
      "compute dtypes: inference converts the weights, training uses autocast; auto: bfloat16 "
      "if the hardware has it, else float32; int8: weights and activations of 8 bits, "
      "int8_experts: bfloat16 with experts' weights of 8 bits",
      {.choices = {"auto", "float32", "bfloat16", "float16", "int8", "int8_experts"}});
  table.add("rounds", options.rounds, "rounds, in each of which every model has its turn",
            {.min = 1});
  table.add("round-seconds", options.round_seconds,
            "minimum length of a turn; a slow model runs one batch", {.unit = "s", .min = 0});
  table.add("baseline", options.baseline, "model that ratios refer to; empty: the first");
  table.add("max-batch-seconds", options.max_batch_seconds,
            "leave out, and name, what is too much for this machine: batches that take longer than "
            "this even at the matmul peak, and weights that exceed the memory; 0: nothing",
            {.unit = "s", .min = 0});
}

ThroughputResults measure_throughput(std::span<const ThroughputSubject> subjects,
                                     const ThroughputOptions& options, const torch::Device& device,
                                     const MatmulPeak& peak) {
  if (subjects.empty() || options.batch_sizes.empty() || options.dtypes.empty()) {
    throw UsageError("models, batch-sizes, dtypes", "at least one of each", "none");
  }
  const auto baseline = options.baseline.empty() ? subjects[0].name : options.baseline;
  if (std::none_of(subjects.begin(), subjects.end(),
                   [&](const auto& subject) { return subject.name == baseline; })) {
    throw UsageError("baseline", "one of the models", "'" + baseline + "'");
  }
  auto plan = plan_throughput(subjects, options, device, peak);
  const MemoryLimit limit(device);
  auto turns = turns_of(plan, options);
  Progress progress("Benchmark", turns.total(), "turns");
  ThroughputResults results{.records = {}, .left_out = std::move(plan.left_out)};
  for (const auto& planned : plan.settings) {
    const auto measured = Group(planned, options, turns, progress).measure();
    results.records.insert(results.records.end(), measured.begin(), measured.end());
  }
  progress.finish();
  raise_peaks(results.records);
  add_ratios(results.records, baseline);
  return results;
}

}  // namespace softmoe
