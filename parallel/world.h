#pragma once
/// The processes that work on one run, and what they exchange.

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "parallel/world_environment.h"

namespace softmoe {

/// The processes of a run, numbered by rank. All of them must make the same calls in the same
/// order. A World made by default is one process, for which nothing here costs anything. Copies are
/// the same world.
///
/// If another process ends or gives no sign of life (rank_timeout()), calls that wait for it throw
/// InputError of one line that names it.
class World {
 public:
  World() = default;

  /// Meets the other processes; the tensors that will be exchanged are on `device`. Throws
  /// InputError that names the ranks that have not come within five minutes, or run another version
  /// of softmoe.
  static World join(const WorldEnvironment& environment, const torch::Device& device);

  int64_t rank() const;
  int64_t size() const;
  bool is_alone() const { return impl_ == nullptr; }
  /// Returns true for the process that writes files and messages.
  bool is_first() const { return rank() == 0; }

  /// Gives all processes the values that `tensors` have on rank 0, in place. They are contiguous.
  void broadcast(const std::vector<torch::Tensor>& tensors) const;
  /// Makes `tensor`, which is contiguous, the sum over the processes.
  void sum(const torch::Tensor& tensor) const;
  /// Concatenates along axis 0 the tensors of all processes, in the order of ranks, whose other
  /// axes and dtypes are equal.
  torch::Tensor gather(const torch::Tensor& tensor) const;

  /// The texts of all processes, in the order of ranks.
  std::vector<std::string> gather_texts(const std::string& text) const;
  /// The text of rank 0.
  std::string text_of_first(const std::string& text) const;
  double number_of_first(double number) const;
  /// Returns true if `flag` is true in any process.
  bool any(bool flag) const;

  /// Begins to sum `tensor`, which is contiguous and must not be touched before finish().
  class Pending;
  Pending begin_sum(const torch::Tensor& tensor) const;

  /// Tells the other processes that this one ends because of `error`, so that they name it.
  void announce(const std::string& error) const;
  /// Waits for all processes before they end.
  void close() const;

 private:
  struct Impl;

  std::shared_ptr<Impl> impl_;
};

/// A sum that is being computed.
class World::Pending {
 public:
  Pending();
  Pending(Pending&&) noexcept;
  Pending& operator=(Pending&&) noexcept;
  ~Pending();

  /// Waits until the tensor is the sum.
  void finish();

 private:
  friend class World;
  struct State;

  std::unique_ptr<State> state_;
};

}  // namespace softmoe
