#pragma once
/// Expert parallelism: the experts of a model shared out over groups of processes.
///
/// Ranks [0, W), [W, 2 W), ... are groups, each of which holds all experts together. Processes at
/// the same place of their groups hold the same experts and sum the gradients of these.

#include <torch/nn/module.h>

#include <set>
#include <string>
#include <vector>

#include "checkpoints/checkpoint.h"
#include "parallel/world.h"
#include "softmoe/expert_exchange.h"
#include "train/optimizer.h"

namespace softmoe {

struct TrainingSetup;

/// Returns true for the name of a parameter of experts in a model.
bool is_expert_parameter(const std::string& name);

/// The experts of one model, of which each process has a part.
class ExpertParallel {
 public:
  /// Leaves in the model of `setup` the experts that belong to this process, as
  /// ParallelOptions::expert_parallel says, and in the state of an optimizer that it starts with
  /// what belongs to them. All processes have the same weights before.
  explicit ExpertParallel(TrainingSetup& setup);

  /// The processes that hold all experts together.
  const World& group() const { return group_; }
  /// The processes that hold the experts of this one.
  const World& replicas() const { return replicas_; }
  /// Returns true for the names of parameters of experts, and of their averages and of the state of
  /// an optimizer behind a prefix.
  bool is_part(const std::string& name) const;
  /// How an optimizer comes to the norm of all gradients.
  ParameterParts parts() const;

  /// The values of the whole of a tensor of which this process has `part`.
  int64_t whole_size(const std::string& name, const torch::Tensor& part) const;
  /// What this process has of tensor `name` of a checkpoint, in memory of its own if that is not
  /// all of it.
  torch::Tensor part_of(const std::string& name, const torch::Tensor& whole) const;

  /// Writes `checkpoint` with whole tensors, on rank 0, while the others of its group are in
  /// give_parts() of theirs. It has one whole tensor at a time.
  void save(const std::filesystem::path& path, const Checkpoint& checkpoint) const;
  void give_parts(const Checkpoint& checkpoint) const;

 private:
  torch::Tensor whole(const std::string& name, const torch::Tensor& part) const;

  World group_;
  World replicas_;
  bool has_first_ = false;  // rank 0 is in the group
  std::set<std::string> names_;
};

/// The bytes of the tensors of what save_whole() writes.
int64_t whole_bytes(const ExpertParallel* experts, const Checkpoint& checkpoint);

/// save_checkpoint() of what all processes of a run have together. Rank 0 calls it; where `experts`
/// is not null, the others call ExpertParallel::give_parts().
void save_whole(const ExpertParallel* experts, const std::filesystem::path& path,
                const Checkpoint& checkpoint);

}  // namespace softmoe
