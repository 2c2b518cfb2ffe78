#include "benchmark/throughput.h"

#include <fmt/format.h>

#include <chrono>
#include <map>

#include "core/error.h"
#include "core/progress.h"
#include "core/table.h"
#include "runtime/compute_precision.h"
#include "runtime/device.h"
#include "runtime/memory/memory_limit.h"
#include "runtime/memory/memory_use.h"

namespace softmoe {
namespace {

constexpr int64_t kMostIterations = 10000;
/// Room for activations that must be left where models share the memory.
constexpr int64_t kActivationReserve = int64_t{2} << 30;

/// What is alike for a group of records.
struct Setting {
  ThroughputMode mode;
  Precision precision;
  torch::Device device;
};

std::string describe_case(const ThroughputSubject& subject, const Setting& setting, int64_t batch) {
  return fmt::format("{}, {} in {}, batch size {}", subject.name, enum_name(setting.mode),
                     enum_name(setting.precision), batch);
}

/// One model with its inputs, timed round by round.
class Contestant {
 public:
  Contestant(const ThroughputSubject& subject, const Setting& setting)
      : subject_(&subject), setting_(setting), memory_before_(memory_in_use_bytes(setting.device)) {
    within_memory(
        fmt::format("{}, {} in {}", subject.name, enum_name(setting.mode),
                    enum_name(setting.precision)),
        [this] { model_ = subject_->make(setting_.mode, setting_.precision, setting_.device); });
  }

  /// Runs the model on one image, so that all that it keeps in memory (such as the state of an
  /// optimizer) is there and known.
  void warm_up() {
    what_ = describe_case(*subject_, setting_, 1);
    within_memory(what_, [this] {
      make_inputs(1);
      run();
    });
    resident_bytes_ = memory_in_use_bytes(setting_.device) - memory_before_;
  }

  /// What the model keeps in memory between runs.
  int64_t resident_bytes() const { return resident_bytes_; }

  /// Checks the model on a new batch size and finds how many batches fill a round.
  void start(int64_t batch, double round_seconds) {
    what_ = describe_case(*subject_, setting_, batch);
    within_memory(what_, [&] {
      make_inputs(batch);
      // Here and not in the rounds: a count from the beginning gives back memory that is kept from
      // run to run, which would cost the first run of each round its time.
      reset_peak_memory(setting_.device);
      check(run());
      peak_memory_ = peak_memory_bytes(setting_.device);
      const double seconds = timed(1);
      iterations_ = std::clamp(static_cast<int64_t>(std::ceil(round_seconds / seconds)), int64_t{1},
                               kMostIterations);
    });
    record_ = {.model = subject_->name,
               .mode = setting_.mode,
               .batch_size = batch,
               .precision = setting_.precision,
               .device = setting_.device.str(),
               .parameters = subject_->parameters,
               .gflop = subject_->gflop * (setting_.mode == ThroughputMode::kTrain ? 3 : 1),
               .iterations = iterations_};
  }

  void run_round() {
    within_memory(what_, [this] {
      const double images = static_cast<double>(iterations_ * record_.batch_size);
      record_.images_per_second.push_back(images / timed(iterations_));
    });
  }

  /// What was measured since start(), beside models that keep `bytes_of_others` in memory.
  ThroughputRecord record(int64_t bytes_of_others) const {
    auto record = record_;
    record.peak_memory_bytes = peak_memory_ - bytes_of_others;
    return record;
  }

 private:
  void make_inputs(int64_t batch) {
    std::vector<int64_t> shape{batch};
    shape.insert(shape.end(), subject_->image_shape.begin(), subject_->image_shape.end());
    const auto dtype = setting_.mode == ThroughputMode::kTrain ? torch::kFloat32
                                                               : tensor_dtype(setting_.precision);
    images_ = torch::rand(shape).mul(2).sub(1).to(setting_.device, dtype);
    labels_ = torch::randint(std::max<int64_t>(1, subject_->outputs), {batch}, torch::kInt64)
                  .to(setting_.device);
  }

  torch::Tensor run() {
    if (setting_.mode == ThroughputMode::kTrain) {
      return model_.train(images_, labels_);
    }
    const c10::InferenceMode inference;
    return model_.infer(images_);
  }

  void check(const torch::Tensor& output) const {
    if (setting_.mode == ThroughputMode::kInfer) {
      const std::vector<int64_t> expected{images_.size(0), subject_->outputs};
      TORCH_CHECK_VALUE(output.sizes() == expected, what_, ": expected outputs ",
                        at::IntArrayRef(expected), ", found ", output.sizes());
    }
    if (!output.isfinite().all().item<bool>()) {
      throw InputError(what_, "finite outputs", "NaN or infinity");
    }
  }

  double timed(int64_t iterations) {
    synchronize(setting_.device);
    const auto start = std::chrono::steady_clock::now();
    for (int64_t i = 0; i < iterations; ++i) {
      run();
    }
    synchronize(setting_.device);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

  const ThroughputSubject* subject_;
  Setting setting_;
  std::string what_;
  RunningModel model_;
  torch::Tensor images_;
  torch::Tensor labels_;
  int64_t iterations_ = 1;
  int64_t memory_before_;
  int64_t resident_bytes_ = 0;
  int64_t peak_memory_ = 0;
  ThroughputRecord record_;
};

/// Measures the subjects in one setting, all in memory at once or one after the other.
class Group {
 public:
  Group(std::span<const ThroughputSubject> subjects, const ThroughputOptions& options,
        const Setting& setting, double matmul_peak, Progress& progress, int64_t& done)
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
  Setting setting_;
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

/// Throws before anything is measured where a model cannot be made at all.
void check_weights_fit(std::span<const ThroughputSubject> subjects,
                       const std::vector<Setting>& settings) {
  for (const auto& setting : settings) {
    const int64_t available = available_memory_bytes(setting.device);
    for (const auto& subject : subjects) {
      const int64_t bytes = weight_bytes(subject, setting.mode, setting.precision);
      if (bytes > available) {
        throw InputError(fmt::format("{}, {} in {}", subject.name, enum_name(setting.mode),
                                     enum_name(setting.precision)),
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

int64_t weight_bytes(const ThroughputSubject& subject, ThroughputMode mode, Precision precision) {
  constexpr int64_t kTrainedCopies = 4;  // weights, gradients, two moments
  const auto bytes = static_cast<int64_t>(c10::elementSize(tensor_dtype(precision)));
  return subject.parameters * (mode == ThroughputMode::kTrain ? kTrainedCopies * 4 : bytes);
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
  std::vector<Setting> settings;
  for (const auto mode : modes_of(options.mode)) {
    for (const auto& dtype : options.dtypes) {
      settings.push_back({mode, parse_precision(dtype), device});
      if (mode == ThroughputMode::kTrain && has_8_bit_weights(settings.back().precision)) {
        throw UsageError("dtypes", "floating point for training", dtype);
      }
    }
  }
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
