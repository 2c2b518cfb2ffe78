#include "benchmark/throughput_subject.h"

#include "ops/compute_precision.h"

namespace softmoe {

int64_t weight_bytes(const ThroughputSubject& subject, ThroughputMode mode, Precision precision) {
  constexpr int64_t kTrainedCopies = 4;  // weights, gradients, two moments
  const auto bytes = static_cast<int64_t>(c10::elementSize(tensor_dtype(precision)));
  return subject.parameters * (mode == ThroughputMode::kTrain ? kTrainedCopies * 4 : bytes);
}

}  // namespace softmoe
