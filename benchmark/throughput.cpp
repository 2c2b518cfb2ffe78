#include "benchmark/throughput.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "benchmark/contestant.h"
#include "core/error.h"
#include "core/progress.h"
#include "core/text_format.h"
#include "ops/compute_precision.h"
#include "runtime/memory/memory_limit.h"
#include "runtime/memory/memory_use.h"

namespace softmoe {
namespace {

/// Room for activations that must be left if models share the memory.
constexpr int64_t kActivationReserve = int64_t{2} << 30;

/// Measures the subjects in one setting, all in memory at once or one after the other.
class Group {
 public:
  Group(std::span<const ThroughputSubject> subjects, const ThroughputOptions& options,
        const ThroughputSetting& setting, double matmul_peak, Progress& progress, int64_t& done)
      : subjects_(subjects),
        options_(options),
        setting_(setting),
        matmul_peak_(matmul_peak),
        progress_(progress),
        done_(done) {
    for (const auto& subject : subjects) {
      total_bytes_ += weight_bytes(subject, setting.mode, setting.precision);
    }
  }

  std::vector<ThroughputRecord> measure() {
    std::vector<ThroughputRecord> records;
    const bool together =
        total_bytes_ + kActivationReserve <= available_memory_bytes(setting_.device);
    if (together) {
      measure_together(subjects_, records);
    } else {
      for (size_t i = 0; i < subjects_.size(); ++i) {
        measure_together(subjects_.subspan(i, 1), records);
      }
    }
    for (auto& record : records) {
      record.interleaved = together || subjects_.size() == 1;
      record.matmul_peak_gflops = matmul_peak_;
    }
    return records;
  }

 private:
  void measure_together(std::span<const ThroughputSubject> subjects,
                        std::vector<ThroughputRecord>& records) {
    std::vector<Contestant> contestants;
    int64_t bytes = 0;
    for (const auto& subject : subjects) {
      progress_.update(done_, "making " + subject.name);
      contestants.emplace_back(subject, setting_).warm_up();
      bytes += contestants.back().resident_bytes();
    }
    for (const int64_t batch : options_.batch_sizes) {
      for (auto& contestant : contestants) {
        contestant.start(batch, options_.round_seconds);
      }
      for (int64_t round = 0; round < options_.rounds; ++round) {
        for (size_t i = 0; i < contestants.size(); ++i) {
          contestants[i].run_round();
          progress_.update(++done_, describe_case(subjects[i], setting_, batch));
        }
      }
      for (size_t i = 0; i < contestants.size(); ++i) {
        records.push_back(contestants[i].record(bytes - contestants[i].resident_bytes()));
      }
    }
  }

  std::span<const ThroughputSubject> subjects_;
  const ThroughputOptions& options_;
  ThroughputSetting setting_;
  double matmul_peak_;
  Progress& progress_;
  int64_t& done_;
  int64_t total_bytes_ = 0;
};

std::vector<ThroughputMode> modes_of(ThroughputMode mode) {
  if (mode == ThroughputMode::kBoth) {
    return {ThroughputMode::kInfer, ThroughputMode::kTrain};
  }
  return {mode};
}

/// All modes and precisions of `options`. Throws UsageError for training with 8-bit weights.
std::vector<ThroughputSetting> settings_of(const ThroughputOptions& options,
                                           const torch::Device& device) {
  std::vector<ThroughputSetting> settings;
  for (const auto mode : modes_of(options.mode)) {
    for (const auto& dtype : options.dtypes) {
      settings.push_back({mode, parse_precision(dtype), device});
      if (mode == ThroughputMode::kTrain && has_8_bit_weights(settings.back().precision)) {
        throw UsageError("dtypes", "floating point for training", dtype);
      }
    }
  }
  return settings;
}

/// Throws InputError if the weights of a model do not fit into the memory alone.
void check_weights_fit(std::span<const ThroughputSubject> subjects,
                       const std::vector<ThroughputSetting>& settings) {
  for (const auto& setting : settings) {
    const int64_t available = available_memory_bytes(setting.device);
    for (const auto& subject : subjects) {
      const int64_t bytes = weight_bytes(subject, setting.mode, setting.precision);
      if (bytes > available) {
        throw InputError(describe_case(subject, setting),
                         fmt::format("at most the {} of memory available", format_bytes(available)),
                         fmt::format("{} of {}", format_bytes(bytes),
                                     setting.mode == ThroughputMode::kTrain
                                         ? "weights, gradients and optimizer state"
                                         : "weights"));
      }
    }
  }
}

/// The median over rounds of the ratio to the baseline's rate in the same round.
void add_ratios(std::vector<ThroughputRecord>& records, const std::string& baseline) {
  for (auto& record : records) {
    const auto base = std::find_if(records.begin(), records.end(), [&](const auto& other) {
      return other.model == baseline && other.mode == record.mode &&
             other.precision == record.precision && other.batch_size == record.batch_size;
    });
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
  table.add("dtypes", options.dtypes,
            "compute dtypes: inference converts the weights, training uses autocast; int8: weights "
            "and activations of 8 bits, int8_experts: bfloat16 with experts' weights of 8 bits",
            {.choices = {"float32", "bfloat16", "float16", "fp32", "bf16", "fp16", "int8",
                         "int8_experts"}});
  table.add("rounds", options.rounds, "rounds, in each of which every model has its turn",
            {.min = 1});
  table.add("round-seconds", options.round_seconds,
            "minimum length of a turn; a slow model runs one batch", {.unit = "s", .min = 0});
  table.add("baseline", options.baseline, "model that ratios refer to; empty: the first");
}

std::vector<ThroughputRecord> measure_throughput(std::span<const ThroughputSubject> subjects,
                                                 const ThroughputOptions& options,
                                                 const torch::Device& device,
                                                 const MatmulPeak& peak) {
  if (subjects.empty() || options.batch_sizes.empty() || options.dtypes.empty()) {
    throw UsageError("models, batch-sizes, dtypes", "at least one of each", "none");
  }
  const auto baseline = options.baseline.empty() ? subjects[0].name : options.baseline;
  if (std::none_of(subjects.begin(), subjects.end(),
                   [&](const auto& subject) { return subject.name == baseline; })) {
    throw UsageError("baseline", "one of the models", "'" + baseline + "'");
  }
  const auto settings = settings_of(options, device);
  check_weights_fit(subjects, settings);
  const MemoryLimit limit(device);
  Progress progress(
      "Benchmark",
      static_cast<int64_t>(settings.size() * subjects.size() * options.batch_sizes.size()) *
          options.rounds,
      "turns");
  int64_t done = 0;
  std::vector<ThroughputRecord> records;
  std::map<torch::Dtype, double> peaks;
  for (const auto& setting : settings) {
    const auto products = product_dtype(setting.precision);
    if (!peaks.contains(products)) {
      progress.update(done, "matmul peak for " + enum_name(setting.precision));
      peaks[products] = peak(device, products);
    }
    const auto measured =
        Group(subjects, options, setting, peaks[products], progress, done).measure();
    records.insert(records.end(), measured.begin(), measured.end());
  }
  progress.finish();
  add_ratios(records, baseline);
  return records;
}

}  // namespace softmoe
