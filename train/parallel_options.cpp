#include "train/parallel_options.h"

namespace softmoe {

void describe(OptionTable& table, ParallelOptions& options) {
  table.add("expert-parallel", options.expert_parallel,
            "processes that hold the experts of each MoE layer together, each an equal part of "
            "them; a divisor of the number of processes and of --experts",
            {.unit = "processes", .min = 1});
  describe_payloads(table, options);
}

void describe_payloads(OptionTable& table, ParallelOptions& options) {
  table.add("exchange-dtype", options.exchange_dtype,
            "precision of tokens and their gradients on the way to experts in other processes and "
            "back",
            {Precision::kFloat32, Precision::kBFloat16});
  table.add("reduce-dtype", options.reduce_dtype,
            "precision in which gradients are summed over processes",
            {Precision::kFloat32, Precision::kBFloat16});
}

std::optional<torch::Dtype> payload_dtype(Precision precision) {
  return precision == Precision::kBFloat16 ? std::optional(torch::kBFloat16) : std::nullopt;
}

}  // namespace softmoe
