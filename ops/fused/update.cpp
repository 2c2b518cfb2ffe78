#include "ops/fused/update.h"

#include <algorithm>
#include <cmath>

#include "kernels/table.h"
#include "ops/quantized_moments.h"
#include "ops/tensor_pointers.h"
#include "runtime/thread_team.h"

namespace softmoe::fused {
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
  run_team([&](const ThreadTeam& team) {
    const auto share = team.share(static_cast<int64_t>(blocks.size()));
    for (int64_t index = share.first; index < share.last; ++index) {
      function(static_cast<size_t>(index), blocks[static_cast<size_t>(index)]);
    }
  });
}

bool are_contiguous(const std::vector<torch::Tensor>& tensors, torch::Dtype dtype) {
  return std::ranges::all_of(tensors, [dtype](const torch::Tensor& tensor) {
    return tensor.is_cpu() && tensor.scalar_type() == dtype && tensor.is_contiguous();
  });
}

kernels::AdamWConstants constants_of(const AdamWStep& step) {
  const auto steps = static_cast<double>(step.step);
  // What the moments lack of their full weight, as they start from zero.
  const double correction1 = 1.0 - std::pow(step.beta1, steps);
  const double correction2 = 1.0 - std::pow(step.beta2, steps);
  return {.decay = static_cast<float>(1.0 - step.lr * step.decay),
          .rate = static_cast<float>(step.lr / correction1),
          .beta1 = static_cast<float>(step.beta1),
          .beta2 = static_cast<float>(step.beta2),
          .inverse_correction = static_cast<float>(1.0 / std::sqrt(correction2)),
          .eps = static_cast<float>(step.eps),
          .gradient_factor = static_cast<float>(step.gradient_factor)};
}

}  // namespace

bool takes_update(const std::vector<torch::Tensor>& tensors) {
  return kernels::has(kernels::Need::kFp32) && are_contiguous(tensors, torch::kFloat32);
}

bool takes_adamw(const UpdatedTensors& tensors) {
  const auto& means = tensors.state[0];
  return takes_update(tensors.parameters) && takes_update(tensors.gradients) &&
         (takes_update(means) || are_contiguous(means, torch::kBFloat16)) &&
         takes_update(tensors.state[1]);
}

void adamw(const AdamWStep& step, const UpdatedTensors& tensors) {
  const auto constants = constants_of(step);
  const auto gradient = memory_of(tensors.gradients);
  const auto parameter = memory_of(tensors.parameters);
  const auto& means = tensors.state[0];
  const auto mean_square = memory_of(tensors.state[1]);
  for_each_block(blocks_of(tensors.parameters), [&](size_t, const Block& block) {
    const auto [index, first, count] = block;
    kernels::table().adamw(constants, count, gradient[index] + first, parameter[index] + first,
                           target_of(means[index]).offset(first), mean_square[index] + first);
  });
}

bool takes_adamw_8bit(const UpdatedTensors& tensors) {
  // On every level: libtorch has no such update.
  const auto& state = tensors.state;
  return are_contiguous(tensors.parameters, torch::kFloat32) &&
         are_contiguous(tensors.gradients, torch::kFloat32) &&
         are_contiguous(state[0], torch::kUInt8) && are_contiguous(state[1], torch::kUInt8) &&
         are_contiguous(state[2], torch::kFloat32) && are_contiguous(state[3], torch::kFloat32);
}

void adamw_8bit(const AdamWStep& step, const UpdatedTensors& tensors) {
  static_assert(kMomentBlock == kernels::kMomentBlock && kBlock % kMomentBlock == 0);
  const auto constants = constants_of(step);
  const auto gradient = memory_of(tensors.gradients);
  const auto parameter = memory_of(tensors.parameters);
  const auto mean_scales = memory_of(tensors.state[2]);
  const auto square_scales = memory_of(tensors.state[3]);
  for_each_block(blocks_of(tensors.parameters), [&](size_t, const Block& block) {
    const auto [index, first, count] = block;
    const auto codes = [&tensors, &block](int kind) {
      return tensors.state[kind][block.tensor].data_ptr<uint8_t>() + block.first;
    };
    const int64_t moment_block = first / kMomentBlock;
    kernels::table().adamw_8bit(constants, count, gradient[index] + first, parameter[index] + first,
                                {codes(0), mean_scales[index] + moment_block},
                                {codes(1), square_scales[index] + moment_block});
  });
}

double global_norm(const std::vector<torch::Tensor>& tensors) {
  const auto memory = memory_of(tensors);
  const auto blocks = blocks_of(tensors);
  std::vector<double> sums(blocks.size());
  for_each_block(blocks, [&](size_t number, const Block& block) {
    sums[number] = kernels::table().sum_of_squares(memory[block.tensor] + block.first, block.count);
  });
  double sum = 0.0;
  for (const double part : sums) {
    sum += part;
  }
  return std::sqrt(sum);
}

void multiply(const std::vector<torch::Tensor>& tensors, double factor) {
  const auto memory = memory_of(tensors);
  for_each_block(blocks_of(tensors), [&](size_t, const Block& block) {
    kernels::table().multiply(memory[block.tensor] + block.first, block.count,
                              static_cast<float>(factor));
  });
}

}  // namespace softmoe::fused
