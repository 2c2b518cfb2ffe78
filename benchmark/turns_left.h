#pragma once
/// How long a benchmark still takes.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace softmoe {

/// The turns of a benchmark: how many are done, and how long those that are left take.
///
/// Each turn counts by the time of its own model and batch size. Until that was measured, it is
/// estimated: from the time per image of this model at another batch size, or from the time per
/// GFLOP of other models.
class TurnsLeft {
 public:
  /// Turns last `round_seconds`, or as long as one batch.
  explicit TurnsLeft(double round_seconds) : round_seconds_(round_seconds) {}

  /// Adds `turns` turns of `model` in one mode and precision, an image of which takes `gflop`.
  void add(const std::string& model, double gflop, int64_t batch, int64_t turns);
  /// One batch takes `seconds`, as measured before the first turn.
  void started(const std::string& model, int64_t batch, double seconds);
  /// One turn took `seconds`.
  void finished(const std::string& model, int64_t batch, double seconds);

  int64_t total() const { return total_; }
  int64_t done() const { return done_; }
  /// Seconds of all turns that are left; nothing before a first model was started.
  std::optional<double> seconds() const;

 private:
  struct Case {
    std::string model;
    double gflop;
    int64_t batch;
    int64_t turns;                          // left
    std::optional<double> batch_seconds{};  // once started
    std::optional<double> turn_seconds{};   // once one is finished
  };

  Case& find(const std::string& model, int64_t batch);
  double seconds_per_gflop() const;
  double seconds_of(const Case& item) const;

  double round_seconds_;
  std::vector<Case> cases_;
  int64_t total_ = 0;
  int64_t done_ = 0;
};

}  // namespace softmoe
