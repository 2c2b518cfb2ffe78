#include "train/run_upcycling.h"

#include <gmock/gmock.h>

#include "checkpoints/model_checkpoint.h"
#include "core/error.h"
#include "io/atomic_file.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"
#include "train/tiny_run.h"

namespace softmoe::run_upcycling_test {

using test::Corners;
using test::expect_resumes;
using test::same_bits;
using test::TemporaryFolder;
using test::TinyRun;
using test::train;
using testing::HasSubstr;

/// A tiny run of 30 updates, the last 18 of them with MoE layers.
TinyRun upcycled_run(const UpcycleOptions& options = {}) {
  auto run = test::tiny_run();
  run.train.model_ema = true;
  run.train.model_ema_decay = {0.9};
  run.upcycling = mid_upcycling(parse_upcycle_moment("0.4"), run.model, options);
  run.config = options_to_json(run.train);
  return run;
}

Checkpoint checkpoint_of(const std::filesystem::path& path) {
  return load_checkpoint(path, {.ema = true});
}

TEST(RunUpcycling, ExpertsBeginWithWeightsMomentsAndAveragesOfTheMlp) {
  const TemporaryFolder folder;
  const Corners train_set(120);
  const Corners val_set(20);
  auto run = upcycled_run();
  run.train.max_steps = 13;  // one with experts
  run.upcycling->moment = parse_upcycle_moment("12steps");
  const auto result = train(run, folder.path(), train_set, val_set);
  EXPECT_EQ(result.upcycled_step, 12);
  const auto dense = checkpoint_of(folder / "dense.h5");
  const auto last = checkpoint_of(folder / "last.h5");
  EXPECT_EQ(dense.metadata.at("progress").at("step"), 12);
  EXPECT_EQ(last.metadata.at("progress").at("upcycled_step"), 12);
  const std::string mlp = "blocks.1.mlp.fc1.weight";
  const std::string experts = "blocks.1.moe.experts.fc1_weight";
  for (int64_t expert = 0; expert < 3; ++expert) {
    // One update moves a weight by about the learning rate, an average by a tenth of the way, and
    // keeps all but a thousandth of the second moment.
    const auto& weights = last.model.at(experts)[expert];
    EXPECT_TRUE(test::all_close(weights, dense.model.at(mlp), {.absolute = 2e-2}));
    EXPECT_TRUE(test::all_close(last.ema.at("0.9/" + experts)[expert],
                                0.9 * dense.ema.at("0.9/" + mlp) + 0.1 * weights));
    const auto& moment = dense.optimizer.at("exp_avg_sq/" + mlp);
    EXPECT_GT(moment.max().item<double>(), 0.0);
    EXPECT_TRUE(
        last.optimizer.at("exp_avg_sq/" + experts)[expert].ge(0.998 * moment).all().item<bool>());
  }
  EXPECT_EQ(last.optimizer.at("age/" + experts).item<int64_t>(), 12);
  EXPECT_FALSE(last.optimizer.contains("age/blocks.1.moe.router.phi"));
}

TEST(RunUpcycling, LearnsOnAndRecordsWhenItHappened) {
  const TemporaryFolder folder;
  const Corners train_set(120);
  const Corners val_set(41);
  auto run = upcycled_run({.init = UpcycleInit::kNoise});
  run.train.epochs = 10;
  run.config = options_to_json(run.train);
  const auto result = train(run, folder.path(), train_set, val_set);
  EXPECT_EQ(result.upcycled_step, 40);
  EXPECT_GT(result.last.top1, 0.9);
  EXPECT_TRUE(has_moe(load_model(folder / "last.h5").description.options));
  EXPECT_FALSE(has_moe(load_model(folder / "dense.h5").description.options));
  std::istringstream lines(read_text_file(folder / "metrics.jsonl"));
  double last_rate = 1.0;
  for (std::string line; std::getline(lines, line);) {
    const auto record = Json::parse(line);
    const bool is_upcycled = record.at("step").get<int64_t>() > 40;
    EXPECT_EQ(record.contains("upcycled_step"), is_upcycled) << line;
    EXPECT_EQ(record.contains("routing"), is_upcycled) << line;
    EXPECT_LT(record.at("lr").get<double>(), last_rate);  // one schedule
    last_rate = record.at("lr");
  }
}

TEST(RunUpcycling, InterruptedOnEitherSideAndResumedEqualsUninterrupted) {
  const Corners train_set(120);
  const Corners val_set(20);
  auto narrow = upcycled_run({.init = UpcycleInit::kImportance});
  narrow.model.moe.expert_dim = 10;
  narrow.model.moe.phi_init = PhiInit::kKMeans;
  narrow.upcycling =
      mid_upcycling(parse_upcycle_moment("0.4"), narrow.model, {.init = UpcycleInit::kImportance});
  for (const auto& run : {upcycled_run({.init = UpcycleInit::kNoise}), narrow}) {
    const TemporaryFolder whole;
    train(run, whole.path(), train_set, val_set);
    // Images of the sample that routers learn from count, too.
    for (const int64_t gets : {60, 140, 290, 500}) {
      SCOPED_TRACE(gets);
      Corners stopping(120);
      stopping.interrupt_after(gets);
      const TemporaryFolder parts;
      try {
        train(run, parts.path(), stopping, val_set);
      } catch (const Interrupted&) {
        train(run, parts.path(), train_set, val_set);
      }
      test::expect_same_run(whole.path(), parts.path());
    }
  }
}

TEST(RunUpcycling, ATimedRunIsUpcycledAtItsShareOfTheTime) {
  const TemporaryFolder folder;
  const Corners images(120);
  auto run = upcycled_run();
  run.train.max_time = {0.6};
  run.train.eval_interval = 1000;
  run.config = options_to_json(run.train);
  const auto result = train(run, folder.path(), images, images);
  EXPECT_GT(result.steps, 0);
  // A machine that stands still for a moment may come to no update after the moment.
  const auto progress = load_metadata(folder / "last.h5").at("progress");
  if (result.upcycled_step > 0) {
    EXPECT_GE(progress.at("upcycled_seconds").get<double>(), 0.24);
    EXPECT_GT(result.steps, result.upcycled_step);
  }
}

}  // namespace softmoe::run_upcycling_test
