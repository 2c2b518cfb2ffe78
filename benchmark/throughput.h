#pragma once
/// Throughput of several models side by side, made to be compared: all run in one process, round
/// by round in turn, so that what disturbs the machine disturbs all of them alike.

#include <torch/types.h>

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "benchmark/matmul_peak.h"
#include "core/options.h"
#include "core/precision.h"

namespace softmoe {

/// What is timed: inference, or whole training steps (forward, backward, optimizer).
enum class ThroughputMode { kInfer, kTrain, kBoth };
template <>
inline constexpr std::array<EnumName<ThroughputMode>, 3> kEnumNames<ThroughputMode>{
    {{ThroughputMode::kInfer, "infer"},
     {ThroughputMode::kTrain, "train"},
     {ThroughputMode::kBoth, "both"}}};

struct ThroughputOptions {
  ThroughputMode mode = ThroughputMode::kInfer;
  std::vector<int64_t> batch_sizes{1, 8};
  std::vector<std::string> dtypes{"bfloat16"};  ///< as parse_precision reads them
  int64_t rounds = 5;
  double round_seconds = 1.0;
  std::string baseline{};

  bool operator==(const ThroughputOptions&) const = default;
};

void describe(OptionTable& table, ThroughputOptions& options);

/// A model in memory. It is freed with its last copy.
struct RunningModel {
  /// Outputs [batch, outputs] of images [batch, channels, height, width] in the dtype of tensors.
  std::function<torch::Tensor(const torch::Tensor& images)> infer{};
  /// One update from float32 images and labels [batch] int64; gives the loss [].
  std::function<torch::Tensor(const torch::Tensor& images, const torch::Tensor& labels)> train{};
};

/// A model that can be made when its turn comes. Inference takes weights and images in
/// tensor_dtype() of its precision, training float32 weights under autocast.
struct ThroughputSubject {
  std::string name{};
  std::vector<int64_t> image_shape{};  ///< channels, height, width
  int64_t outputs = 0;                 ///< width of what it gives an image
  int64_t parameters = 0;
  double gflop = 0;  ///< of one image forward
  /// `mode` is kInfer or kTrain: the function of that name must be there.
  std::function<RunningModel(ThroughputMode mode, Precision precision, const torch::Device& device)>
      make{};
};

/// Middle and ends of what the rounds gave.
struct Spread {
  double median = 0;
  double minimum = 0;
  double maximum = 0;
};

/// Throws c10::ValueError for an empty list.
Spread spread_of(std::vector<double> values);

/// One model, mode, batch size and dtype.
struct ThroughputRecord {
  std::string model{};
  ThroughputMode mode = ThroughputMode::kInfer;
  int64_t batch_size = 0;
  Precision precision = Precision::kFloat32;
  std::string device{};
  int64_t parameters = 0;
  double gflop = 0;  ///< of one image: forward alone, or 3 x that for a training step
  std::vector<double> images_per_second{};  ///< one a round
  /// Largest memory of the process (CPU) or of all tensors (CUDA) in a run of this model, less what
  /// the other models kept in memory.
  int64_t peak_memory_bytes = 0;
  double matmul_peak_gflops = 0;  ///< measure_matmul_peak of the device and product_dtype()
  /// Whether the models took turns; false where they do not fit into memory together.
  bool interleaved = true;
  int64_t iterations = 0;         ///< batches a round
  std::optional<double> ratio{};  ///< median over rounds of img/s over the baseline's

  Spread rate() const { return spread_of(images_per_second); }  ///< img/s
  Spread milliseconds() const;                                  ///< ms/img
  double gflops() const { return rate().median * gflop; }       ///< achieved GFLOP/s
  double matmul_share() const { return gflops() / matmul_peak_gflops; }
};

/// Bytes that a model's weights take, in training with gradients and two moments in float32.
int64_t weight_bytes(const ThroughputSubject& subject, ThroughputMode mode, Precision precision);

/// How the GFLOP/s that `matmul_share` refers to are found.
using MatmulPeak = std::function<double(const torch::Device& device, torch::Dtype dtype)>;

/// Measures all `subjects`. Each model's output is checked once, for shape and finite values,
/// before it is timed. The batch size is never changed: InputError that names model, mode, dtype
/// and batch where memory does not suffice or the check fails; UsageError for a baseline that is
/// no subject and for training in integers.
std::vector<ThroughputRecord> measure_throughput(std::span<const ThroughputSubject> subjects,
                                                 const ThroughputOptions& options,
                                                 const torch::Device& device,
                                                 const MatmulPeak& peak = measure_matmul_peak);

/// One object a record, for `records` of a benchmark's JSON.
Json to_json(const ThroughputRecord& record);
/// All records for a terminal.
std::string throughput_table(const std::vector<ThroughputRecord>& records);

}  // namespace softmoe
