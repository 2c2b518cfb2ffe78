#include "train/tiny_run.h"

#include <gtest/gtest.h>

#include <csignal>

#include "checkpoints/model_checkpoint.h"
#include "core/error.h"
#include "core/rng.h"
#include "io/atomic_file.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"
#include "train/training_data.h"

namespace softmoe::test {

Sample Corners::get(int64_t index) const {
  if (interrupt_at_ >= 0 && gets_++ == interrupt_at_) {
    std::raise(SIGINT);
  }
  if (spoilt_.contains(index)) {
    throw InputError(sample_name(index) + ": spoilt");
  }
  Rng rng(stream_key(7, "corners", 0, static_cast<uint64_t>(index)));
  cv::Mat image(8, 8, CV_8UC1);
  for (int row = 0; row < 8; ++row) {
    for (int column = 0; column < 8; ++column) {
      const bool inside = (row / 4) * 2 + column / 4 == index % 4;
      image.at<uint8_t>(row, column) = static_cast<uint8_t>(rng.below(100) + (inside ? 150 : 0));
    }
  }
  return {.image = image, .label = index % 4};
}

std::string Corners::sample_name(int64_t index) const {
  return "corner[" + std::to_string(index) + "]";
}

void Corners::interrupt_after(int64_t count) {
  gets_ = 0;
  interrupt_at_ = count;
}

TinyRun tiny_run() {
  TinyRun run;
  run.model.img_size = {8};
  run.model.patch_size = 4;
  run.model.in_chans = 1;
  run.model.num_classes = 4;
  run.model.dim = 16;
  run.model.depth = 2;
  run.model.heads = 2;
  run.model.mlp_dim = 24;
  run.model.drop = 0.1;
  run.model.drop_path = 0.1;
  run.model.moe_blocks = "last_half";
  run.model.moe.experts = 3;
  run.model.moe.slots_per_expert = 2;
  run.model.moe.router_noise = 0.1;
  fit_preprocessing(run.preprocess, run.model);
  run.train.epochs = 3;
  run.train.eval_interval = 0.5;
  run.train.checkpoint_interval = 1;
  run.train.log_interval = 3;
  run.train.amp_dtype = "float32";
  run.schedule.lr = 3e-3;
  run.loader.batch_size = 12;
  run.loader.workers = 1;
  run.config = options_to_json(run.train);
  return run;
}

TrainingSetup setup_of(const TinyRun& run) {
  auto start = fresh_start("tiny", run.upcycling ? run.upcycling->from : run.model, run.train.seed);
  start.optimizer_state = run.optimizer_state;
  return {.start = std::move(start),
          .options = run,
          .config = run.config,
          .config_text = run.config_text,
          .upcycling = run.upcycling};
}

TrainResult train(const TinyRun& run, const std::filesystem::path& path, const Dataset& train_set,
                  const Dataset& val_set) {
  RunFolder folder(path);
  Trainer trainer(setup_of(run), train_set, val_set, folder);
  return trainer.run();
}

void expect_same_run(const std::filesystem::path& a, const std::filesystem::path& b) {
  EXPECT_EQ(read_text_file(a / "metrics.jsonl"), read_text_file(b / "metrics.jsonl"));
  EXPECT_EQ(read_text_file(a / "summary.csv"), read_text_file(b / "summary.csv"));
  EXPECT_EQ(read_text_file(a / "evaluations.jsonl"), read_text_file(b / "evaluations.jsonl"));
  const auto first = load_checkpoint(a / "last.h5");
  const auto second = load_checkpoint(b / "last.h5");
  ASSERT_EQ(first.model.size(), second.model.size());
  for (const auto& [name, tensor] : first.model) {
    EXPECT_TRUE(same_bits(second.model.at(name), tensor)) << name;
  }
  ASSERT_EQ(first.optimizer.size(), second.optimizer.size());
  for (const auto& [name, tensor] : first.optimizer) {
    EXPECT_TRUE(same_bits(second.optimizer.at(name), tensor)) << name;
  }
}

void expect_resumes(const TinyRun& run, const std::filesystem::path& whole,
                    const RunImages& stopping, const RunImages& images) {
  const TemporaryFolder parts;
  EXPECT_THROW(train(run, parts.path(), stopping.train, stopping.val), Interrupted);
  train(run, parts.path(), images.train, images.val);
  expect_same_run(whole, parts.path());
}

}  // namespace softmoe::test
