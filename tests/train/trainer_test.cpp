#include "train/trainer.h"

#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <limits>

#include "checkpoints/model_checkpoint.h"
#include "core/atomic_file.h"
#include "core/error.h"
#include "core/rng.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"

namespace softmoe {
namespace {

using test::TemporaryFolder;

/// Bright squares in one of four corners; the corner is the class.
class Corners : public Dataset {
 public:
  explicit Corners(int64_t size) : size_(size) {}

  int64_t size() const override { return size_; }
  Sample get(int64_t index) const override {
    if (interrupt_at_ >= 0 && gets_++ == interrupt_at_) {
      std::raise(SIGINT);
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
  const std::vector<std::string>& class_names() const override { return names_; }
  std::string sample_name(int64_t index) const override {
    return "corner[" + std::to_string(index) + "]";
  }

  /// Sends SIGINT to the process at the `count`-th get() from now.
  void interrupt_after(int64_t count) {
    gets_ = 0;
    interrupt_at_ = count;
  }

 private:
  int64_t size_;
  std::vector<std::string> names_{"nw", "ne", "sw", "se"};
  mutable std::atomic<int64_t> gets_{0};
  int64_t interrupt_at_ = -1;
};

TrainingRun tiny_run() {
  TrainingRun run;
  run.model_name = "tiny";
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
  run.loader.shuffle = true;
  run.loader.drop_last = true;
  run.config = options_to_json(run.train);
  return run;
}

TrainResult train(const TrainingRun& run, const std::filesystem::path& path, Corners& train_set,
                  Corners& val_set) {
  RunFolder folder(path);
  Trainer trainer(make_model(run.model, run.train.seed), run, train_set, val_set, folder,
                  torch::kCPU);
  return trainer.run();
}

void expect_same_run(const std::filesystem::path& a, const std::filesystem::path& b) {
  EXPECT_EQ(read_text_file(a / "metrics.jsonl"), read_text_file(b / "metrics.jsonl"));
  EXPECT_EQ(read_text_file(a / "summary.csv"), read_text_file(b / "summary.csv"));
  const auto first = load_checkpoint(a / "last.h5");
  const auto second = load_checkpoint(b / "last.h5");
  ASSERT_EQ(first.model.size(), second.model.size());
  for (const auto& [name, tensor] : first.model) {
    EXPECT_TRUE(test::same_bits(second.model.at(name), tensor)) << name;
  }
  for (const auto& [name, tensor] : first.optimizer) {
    EXPECT_TRUE(test::same_bits(second.optimizer.at(name), tensor)) << name;
  }
}

TEST(Trainer, LearnsAndRecordsItsBestModel) {
  TemporaryFolder folder;
  Corners train_set(120);
  Corners val_set(41);
  auto run = tiny_run();
  run.train.epochs = 10;
  const auto result = train(run, folder.path(), train_set, val_set);
  EXPECT_EQ(result.steps, 100);
  EXPECT_GT(result.last.top1, 0.9);
  EXPECT_GE(result.best_top1, result.last.top1);
  const auto loaded = load_model(folder / "best.h5");
  EXPECT_EQ(loaded.description.class_names, val_set.class_names());
  EXPECT_EQ(loaded.description.options, tiny_run().model);
}

TEST(Trainer, EqualSeedsGiveEqualBits) {
  TemporaryFolder a;
  TemporaryFolder b;
  Corners train_set(60);
  Corners val_set(20);
  train(tiny_run(), a.path(), train_set, val_set);
  train(tiny_run(), b.path(), train_set, val_set);
  expect_same_run(a.path(), b.path());
}

TEST(Trainer, InterruptedAnywhereAndResumedEqualsUninterrupted) {
  Corners train_set(120);
  Corners val_set(41);
  TemporaryFolder whole;
  train(tiny_run(), whole.path(), train_set, val_set);
  for (const int64_t gets : {1, 100, 200, 300}) {
    TemporaryFolder parts;
    Corners stopping(120);
    stopping.interrupt_after(gets);
    EXPECT_THROW(train(tiny_run(), parts.path(), stopping, val_set), Interrupted) << gets;
    train(tiny_run(), parts.path(), train_set, val_set);
    expect_same_run(whole.path(), parts.path());
  }
}

TEST(Trainer, InterruptedInAnEvaluationAndResumedEqualsUninterrupted) {
  Corners train_set(120);
  Corners val_set(41);
  TemporaryFolder whole;
  train(tiny_run(), whole.path(), train_set, val_set);
  for (const int64_t gets : {20, 60, 41 * 6 - 13}) {
    TemporaryFolder parts;
    Corners stopping(41);
    stopping.interrupt_after(gets);
    EXPECT_THROW(train(tiny_run(), parts.path(), train_set, stopping), Interrupted) << gets;
    train(tiny_run(), parts.path(), train_set, val_set);
    expect_same_run(whole.path(), parts.path());
  }
}

TEST(Trainer, AccumulatedGradientsEqualThoseOfOneLargerBatch) {
  Corners train_set(120);
  Corners val_set(20);
  auto run = tiny_run();
  run.model.drop = 0;
  run.model.drop_path = 0;
  run.model.moe.router_noise = 0;
  run.train.epochs = 1;
  run.optimizer.opt = "sgd";  // Adam would blow rounding errors of tiny gradients up
  TemporaryFolder large;
  train(run, large.path(), train_set, val_set);
  run.loader.batch_size = 4;
  run.train.grad_accum_steps = 3;
  TemporaryFolder accumulated;
  train(run, accumulated.path(), train_set, val_set);
  const auto expected = load_checkpoint(large / "last.h5");
  const auto actual = load_checkpoint(accumulated / "last.h5");
  for (const auto& [name, tensor] : expected.model) {
    EXPECT_TRUE(test::all_close(actual.model.at(name), tensor, {.absolute = 1e-5})) << name;
  }
}

TEST(Trainer, NonFiniteLossStopsWithOneLineAndKeepsTheLastCheckpoint) {
  Corners train_set(120);
  Corners val_set(20);
  auto run = tiny_run();
  run.train.checkpoint_interval = 0.1;
  run.schedule.lr = std::numeric_limits<double>::infinity();
  TemporaryFolder folder;
  try {
    train(run, folder.path(), train_set, val_set);
    FAIL() << "a run with infinite learning rate ended well";
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("loss is"), std::string::npos) << error.what();
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
  }
}

TEST(Trainer, RefusesToResumeARunOfOtherOptions) {
  Corners train_set(60);
  Corners val_set(20);
  TemporaryFolder folder;
  auto run = tiny_run();
  train(run, folder.path(), train_set, val_set);
  run.train.seed = 5;
  run.config = options_to_json(run.train);
  try {
    train(run, folder.path(), train_set, val_set);
    FAIL() << "resumed with another seed";
  } catch (const UsageError& error) {
    EXPECT_NE(std::string(error.what()).find("--seed"), std::string::npos) << error.what();
  }
}

TEST(Trainer, RefusesBatchesLargerThanTheSet) {
  Corners train_set(10);
  Corners val_set(10);
  TemporaryFolder folder;
  EXPECT_THROW(train(tiny_run(), folder.path(), train_set, val_set), InputError);
}

}  // namespace
}  // namespace softmoe
