#pragma once
/// A small run that trains within a second, for tests of the trainer.

#include <atomic>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "datasets/dataset.h"
#include "train/trainer.h"

namespace softmoe::test {

/// Bright squares in one of four corners; the corner is the class.
class Corners : public Dataset {
 public:
  explicit Corners(int64_t size) : size_(size) {}

  int64_t size() const override { return size_; }
  Sample get(int64_t index) const override;
  const std::vector<std::string>& class_names() const override { return names_; }
  std::string sample_name(int64_t index) const override;

  /// Sends SIGINT to the process at the `count`-th get() from now.
  void interrupt_after(int64_t count);
  /// Makes these images unreadable.
  void spoil(std::set<int64_t> indices) { spoilt_ = std::move(indices); }

 private:
  int64_t size_;
  std::vector<std::string> names_{"nw", "ne", "sw", "se"};
  std::set<int64_t> spoilt_;
  mutable std::atomic<int64_t> gets_{0};
  int64_t interrupt_at_ = -1;
};

/// The options of a run, its model and what it starts from.
struct TinyRun : RunOptions {
  VitOptions model;
  std::optional<MidUpcycling> upcycling;
  Optimizer::State optimizer_state;
  Json config;
  std::string config_text;
};

/// Three epochs of a model of two blocks, the second with a Soft MoE layer, and everything that is
/// random.
TinyRun tiny_run();

/// The setup of `run` with the initial weights that its seed draws.
TrainingSetup setup_of(const TinyRun& run);

/// Trains to the end in the folder `path`, unless something stops it.
TrainResult train(const TinyRun& run, const std::filesystem::path& path, const Dataset& train_set,
                  const Dataset& val_set);

/// The images of a run.
struct RunImages {
  const Dataset& train;
  const Dataset& val;
};

/// A run that `stopping` interrupts and that goes on with `images` ends like the one in the folder
/// `whole`.
void expect_resumes(const TinyRun& run, const std::filesystem::path& whole,
                    const RunImages& stopping, const RunImages& images);

/// The records and the last checkpoints of two runs are equal, bit for bit.
void expect_same_run(const std::filesystem::path& a, const std::filesystem::path& b);

}  // namespace softmoe::test
