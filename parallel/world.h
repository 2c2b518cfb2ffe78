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
  /// Bytes that this process has sent to others: of all-to-all exchanges, and of sums, which are
  /// rings (Patarasuk and Yuan, 2009: 2 (size - 1) / size of the tensor).
  struct Traffic {
    int64_t exchanged = 0;
    int64_t summed = 0;
  };

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

  /// The world of the processes `ranks` alone, which this one is among, numbered in that order. All
  /// processes make the same number of groups, in the same order; no two groups that are made at
  /// once share a process.
  World group(const std::vector<int64_t>& ranks) const;

  /// Gives all processes the values that `tensors` have on rank 0, in place. They are contiguous.
  void broadcast(const std::vector<torch::Tensor>& tensors) const;
  /// Makes `tensor`, which is contiguous, the sum over the processes.
  void sum(const torch::Tensor& tensor) const;
  /// Concatenates along axis 0 the tensors of all processes, in the order of ranks, whose other
  /// axes and dtypes are equal.
  torch::Tensor gather(const torch::Tensor& tensor) const;

  /// Sends `send[r]` rows of `rows` [rows, ...] to each rank r, in their order, and returns those
  /// that come from the ranks, in their order, `receive[r]` from rank r. Both have one entry per
  /// rank; `rows` is contiguous and has at least one dimension.
  torch::Tensor exchange(const torch::Tensor& rows, const std::vector<int64_t>& send,
                         const std::vector<int64_t>& receive) const;

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

  /// What this process has sent in this world and in all of its groups.
  Traffic traffic() const;

  /// Tells the other processes that this one ends because of `error`, so that they name it.
  void announce(const std::string& error) const;
  /// Waits for all processes before they end.
  void close() const;

 private:
  struct Connection;
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
