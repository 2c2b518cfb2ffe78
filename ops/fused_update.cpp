#include "ops/fused_update.h"

#include <algorithm>
#include <cmath>

#include "kernels/types.h"
#include "runtime/thread_team.h"

namespace softmoe {
namespace {

/// Elements that one thread handles at a time; a constant, so that sums do not depend on the number
/// of threads.
constexpr int64_t kBlock = 16384;

/// Part of one tensor of a list.
struct Block {
  size_t tensor;
  int64_t first;
  int64_t count;
};

std::vector<Block> blocks_of(const std::vector<torch::Tensor>& tensors) {
  std::vector<Block> blocks;
  for (size_t index = 0; index < tensors.size(); ++index) {
    const int64_t count = tensors[index].numel();
    for (int64_t first = 0; first < count; first += kBlock) {
      blocks.push_back({index, first, std::min(kBlock, count - first)});
    }
  }
  return blocks;
}

std::vector<float*> memory_of(const std::vector<torch::Tensor>& tensors) {
  std::vector<float*> memory;
  memory.reserve(tensors.size());
  for (const auto& tensor : tensors) {
    memory.push_back(tensor.data_ptr<float>());
  }
  return memory;
}

/// Calls function(number, block) for every block.
template <typename Function>
void for_each_block(const std::vector<Block>& blocks, const Function& function) {
  run_team([&](const Team& team) {
    const auto share = team.share(static_cast<int64_t>(blocks.size()));
    for (int64_t index = share.first; index < share.last; ++index) {
      function(static_cast<size_t>(index), blocks[static_cast<size_t>(index)]);
    }
  });
}

}  // namespace

bool fused_update_takes(const std::vector<torch::Tensor>& tensors) {
  return kernels::supported() &&
         std::all_of(tensors.begin(), tensors.end(), [](const torch::Tensor& tensor) {
           return tensor.is_cpu() && tensor.scalar_type() == torch::kFloat32 &&
                  tensor.is_contiguous();
         });
}

void fused_adamw(const kernels::AdamWStep& step, const std::vector<torch::Tensor>& gradients,
                 const std::vector<torch::Tensor>& parameters,
                 const std::vector<torch::Tensor>& means,
                 const std::vector<torch::Tensor>& mean_squares) {
  const auto gradient = memory_of(gradients);
  const auto parameter = memory_of(parameters);
  const auto mean = memory_of(means);
  const auto mean_square = memory_of(mean_squares);
  for_each_block(blocks_of(parameters), [&](size_t, const Block& block) {
    const auto [index, first, count] = block;
    kernels::adamw(step, count, gradient[index] + first, parameter[index] + first,
                   mean[index] + first, mean_square[index] + first);
  });
}

double fused_norm(const std::vector<torch::Tensor>& tensors) {
  const auto memory = memory_of(tensors);
  const auto blocks = blocks_of(tensors);
  std::vector<double> sums(blocks.size());
  for_each_block(blocks, [&](size_t number, const Block& block) {
    sums[number] = kernels::sum_of_squares(memory[block.tensor] + block.first, block.count);
  });
  double sum = 0.0;
  for (const double part : sums) {
    sum += part;
  }
  return std::sqrt(sum);
}

void fused_multiply(const std::vector<torch::Tensor>& tensors, double factor) {
  const auto memory = memory_of(tensors);
  for_each_block(blocks_of(tensors), [&](size_t, const Block& block) {
    kernels::multiply(memory[block.tensor] + block.first, block.count, static_cast<float>(factor));
  });
}

}  // namespace softmoe
