#pragma once
/// Rows that processes send each other in a forward pass; their gradients go back.

#include <torch/types.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "parallel/world.h"

namespace softmoe {

/// The rows that this process sends to and gets from each rank of a world.
struct RowCounts {
  std::vector<int64_t> send;
  std::vector<int64_t> receive;

  /// Those of the way back.
  RowCounts reversed() const { return {.send = receive, .receive = send}; }
};

/// World::exchange() of `rows` [rows, ...] with gradients: the gradient of a row comes back from
/// the process that got the row. With `payload`, rows and gradients travel in that dtype.
torch::Tensor exchange_rows(const World& world, const torch::Tensor& rows, const RowCounts& counts,
                            std::optional<torch::Dtype> payload = std::nullopt);

}  // namespace softmoe
