#pragma once
/// What defines a training run.

#include <memory>
#include <optional>
#include <string>

#include "parallel/world.h"
#include "train/expert_parallel.h"
#include "train/feature_matcher.h"
#include "train/image_text_run.h"
#include "train/instruction_run.h"
#include "train/run_options.h"
#include "train/teacher.h"
#include "train/training_start.h"
#include "train/upcycle_moment.h"

namespace softmoe {

/// Everything that defines a run but its data sets.
struct TrainingSetup {
  TrainingStart start;
  RunOptions options;
  std::string command = "train";  ///< of the program, for messages
  torch::Device device = torch::kCPU;
  /// All options by name: they must agree when a run resumes. Null: see complete_config().
  Json config = {};
  std::string config_text = {};  ///< `config` as a config file
  /// Of `options.objectives.distillation`; null without it.
  std::shared_ptr<Teacher> teacher = {};
  /// Of its `features`, whose maps learn with the model; null without them.
  std::shared_ptr<FeatureMatcher> matcher = {};
  /// Of a dense model that gets MoE layers during the run.
  std::optional<MidUpcycling> upcycling = {};
  /// Of the contrastive objective; null for others.
  std::shared_ptr<ImageTextRun> image_text = {};
  /// Of a run that learns to follow instructions; null for others.
  std::shared_ptr<InstructionRun> instruction = {};
  /// The processes that train it together.
  World world = {};
  /// Their parts of the experts; null: each process has all.
  std::shared_ptr<ExpertParallel> experts = {};

  /// Everything that learns but the matcher: the model of `image_text` or `instruction`, or that of
  /// `start`.
  torch::nn::Module& model();
  /// Moves it to `device`, or sets it to training or evaluation.
  void move_to_device();
  void set_training(bool training);

  /// Adds to training batch `number` what its run learns from beside images and labels.
  void complete(Batch& batch, int64_t number) const;

  /// What batches are made of, of `train_set`: single pixels if the features of all images are
  /// known.
  const Dataset& fed_images(const Dataset& train_set) const;
  Transform fed_transform() const;
};

/// Makes `config` and `config_text` of the options of the model and of the run if they are missing.
void complete_config(TrainingSetup& setup);

}  // namespace softmoe
