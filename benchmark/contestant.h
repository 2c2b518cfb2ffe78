#pragma once
/// A model in a benchmark of throughput.

#include <torch/types.h>

#include <cstdint>
#include <string>

#include "benchmark/throughput_record.h"
#include "benchmark/throughput_subject.h"

namespace softmoe {

/// The common part of a group of records.
struct ThroughputSetting {
  ThroughputMode mode;
  Precision precision;
  torch::Device device;
};

/// "vit_s16, infer in bfloat16", for messages.
std::string describe_case(const ThroughputSubject& subject, const ThroughputSetting& setting);
/// "vit_s16, infer in bfloat16, batch size 8".
std::string describe_case(const ThroughputSubject& subject, const ThroughputSetting& setting,
                          int64_t batch);

/// One model with its inputs, timed round by round. Functions throw InputError that names the case
/// if memory runs out or outputs are not finite.
class Contestant {
 public:
  /// Makes the model of `subject`, which must outlive the object.
  Contestant(const ThroughputSubject& subject, const ThroughputSetting& setting);

  /// The model, mode and precision, as describe_case() names them.
  std::string name() const { return describe_case(*subject_, setting_); }

  /// Runs the model on one image, so that all that it keeps in memory (such as the state of an
  /// optimizer) is there and known.
  void warm_up();

  /// The memory of the model between runs, in bytes.
  int64_t resident_bytes() const { return resident_bytes_; }

  /// Checks the model on a new batch size and finds how many batches fill a round. Returns the
  /// seconds of one batch.
  double start(int64_t batch, double round_seconds);

  /// Runs one turn and returns its seconds.
  double run_round();

  /// What was measured since start(), while other models keep `bytes_of_others` in memory.
  ThroughputRecord record(int64_t bytes_of_others) const;

 private:
  void make_inputs(int64_t batch);
  torch::Tensor run();
  void check(const torch::Tensor& output) const;
  double timed(int64_t iterations);

  const ThroughputSubject* subject_;
  ThroughputSetting setting_;
  std::string case_;
  RunningModel model_;
  torch::Tensor images_;
  torch::Tensor labels_;
  int64_t iterations_ = 1;
  int64_t memory_before_;
  int64_t resident_bytes_ = 0;
  int64_t peak_memory_ = 0;
  ThroughputRecord record_;
};

}  // namespace softmoe
