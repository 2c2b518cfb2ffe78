#pragma once
/// Results of a benchmark of throughput.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "benchmark/throughput_subject.h"
#include "core/options.h"
#include "core/precision.h"

namespace softmoe {

/// Median and ends of the values of all rounds.
struct Spread {
  double median = 0;
  double minimum = 0;
  double maximum = 0;
};

/// Throws c10::ValueError for an empty list.
Spread spread_of(std::vector<double> values);

/// One model, mode, batch size and precision.
struct ThroughputRecord {
  std::string model{};
  ThroughputMode mode = ThroughputMode::kInfer;
  int64_t batch_size = 0;
  Precision precision = Precision::kFloat32;
  std::string device{};
  int64_t parameters = 0;
  double gflop = 0;  ///< of one image: forward alone, or 3 x that for a training step
  std::vector<double> images_per_second{};  ///< one per round
  /// Largest memory of the process (CPU) or of all tensors (CUDA) in a run of this model, less what
  /// the other models kept in memory.
  int64_t peak_memory_bytes = 0;
  /// The best GFLOP/s seen in the benchmark: those of the measured matmul peak of the device and
  /// product_dtype(), or those of a model's fastest round if they were higher.
  double matmul_peak_gflops = 0;
  /// True if the models took turns; false if they do not fit into memory together.
  bool interleaved = true;
  int64_t iterations = 0;         ///< batches per round
  std::optional<double> ratio{};  ///< median over rounds of img/s over the baseline's

  Spread rate() const { return spread_of(images_per_second); }  ///< img/s
  Spread milliseconds() const;                                  ///< ms/img
  double gflops() const { return rate().median * gflop; }       ///< achieved GFLOP/s
  double matmul_share() const { return gflops() / matmul_peak_gflops; }
};

/// A model at a batch size that is too much for the machine.
struct LeftOutCase {
  std::string model{};
  ThroughputMode mode = ThroughputMode::kInfer;
  Precision precision = Precision::kFloat32;
  int64_t batch_size = 0;
  std::string reason{};
};

/// One object per record, for `records` of a benchmark's JSON.
Json to_json(const ThroughputRecord& record);
/// One object per case, for `left_out` of a benchmark's JSON.
Json to_json(const LeftOutCase& left_out);
/// All records for a terminal.
std::string throughput_table(const std::vector<ThroughputRecord>& records);
/// One line per case that was left out, for a terminal.
std::string left_out_text(const std::vector<LeftOutCase>& left_out);

}  // namespace softmoe
