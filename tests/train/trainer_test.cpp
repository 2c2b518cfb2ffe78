#include "train/trainer.h"

#include <gmock/gmock.h>

#include <limits>

#include "checkpoints/model_checkpoint.h"
#include "core/error.h"
#include "datasets/subset.h"
#include "io/atomic_file.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"
#include "train/tiny_run.h"

namespace softmoe {
namespace {

using test::Corners;
using test::expect_resumes;
using test::expect_same_run;
using test::TemporaryFolder;
using test::tiny_run;
using test::train;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST(Trainer, LearnsAndRecordsItsBestModel) {
  TemporaryFolder folder;
  Corners train_set(120);
  Corners val_set(41);
  auto run = tiny_run();
  run.train.epochs = 10;
  const auto result = train(run, folder.path(), train_set, val_set);
  EXPECT_EQ(result.steps, 100);
  EXPECT_GT(result.last.top1, 0.9);
  EXPECT_GE(result.best_score, result.last.top1);
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
    SCOPED_TRACE(gets);
    Corners stopping(120);
    stopping.interrupt_after(gets);
    expect_resumes(tiny_run(), whole.path(), {stopping, val_set}, {train_set, val_set});
  }
}

/// Indices of 120 images of which those of the first corner are left out, but for every fifth.
std::vector<int64_t> unequal_corners(const Corners& corners) {
  std::vector<int64_t> indices;
  for (int64_t index = 0; index < corners.size(); ++index) {
    if (corners.get(index).label != 0 || index % 5 == 0) {
      indices.push_back(index);
    }
  }
  return indices;
}

TEST(Trainer, InterruptedWithBalancedClassesAndResumedEqualsUninterrupted) {
  const Corners train_set(120);
  const Corners val_set(41);
  const auto indices = unequal_corners(train_set);
  auto run = tiny_run();
  run.sampling.sampling = Sampling::kBalanced;
  TemporaryFolder whole;
  train(run, whole.path(), Subset(train_set, indices), val_set);
  Corners stopping(120);
  stopping.interrupt_after(std::ssize(indices) + 150);  // in the second epoch
  expect_resumes(run, whole.path(), {Subset(stopping, indices), val_set},
                 {Subset(train_set, indices), val_set});
  auto uniform = tiny_run();
  TemporaryFolder other;
  train(uniform, other.path(), Subset(train_set, indices), val_set);
  EXPECT_NE(read_text_file(other / "metrics.jsonl"), read_text_file(whole / "metrics.jsonl"));
}

TEST(Trainer, InterruptedInAnEvaluationAndResumedEqualsUninterrupted) {
  Corners train_set(120);
  Corners val_set(41);
  TemporaryFolder whole;
  train(tiny_run(), whole.path(), train_set, val_set);
  for (const int64_t gets : {20, 60, 41 * 6 - 13}) {
    SCOPED_TRACE(gets);
    Corners stopping(41);
    stopping.interrupt_after(gets);
    expect_resumes(tiny_run(), whole.path(), {train_set, stopping}, {train_set, val_set});
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

TEST(Trainer, ParametersThatAreNotFiniteStopTheRunAndAreNotSaved) {
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
    EXPECT_THAT(error.what(), AllOf(HasSubstr("the loss is"), HasSubstr("first in parameter "),
                                    Not(HasSubstr("\n"))));
  }
  EXPECT_FALSE(std::filesystem::exists(folder / "last.h5"));
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
