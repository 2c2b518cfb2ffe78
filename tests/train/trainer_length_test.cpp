/// When a run ends, and where its time goes.

#include <gmock/gmock.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "io/atomic_file.h"
#include "support/temporary_folder.h"
#include "train/hooks/hook_cases.h"
#include "train/hooks/profile_hook.h"
#include "train/tiny_run.h"

namespace softmoe {
namespace {

using test::Corners;
using test::TemporaryFolder;
using test::tiny_run;
using test::train;
using testing::AllOf;
using testing::HasSubstr;

TEST(TimedRun, EndsAtItsTimeWithTheRateOfTheEnd) {
  const TemporaryFolder folder;
  const Corners images(120);
  auto run = tiny_run();
  run.train.max_time = {0.5};
  run.train.epochs = 0.1;  // does not count
  run.train.eval_interval = 1000;
  run.config = options_to_json(run.train);
  const auto result = train(run, folder.path(), images, images);
  EXPECT_GT(result.steps, 3);
  EXPECT_GT(result.train_seconds, 0.25);  // how far it goes beyond depends on its last update
  const auto lines = read_text_file(folder / "metrics.jsonl");
  const auto last = Json::parse(lines.substr(lines.rfind('\n', lines.size() - 2) + 1));
  EXPECT_EQ(last.at("step"), result.steps);
  EXPECT_LT(last.at("lr"), 0.2 * run.schedule.lr);  // cosine, just before its end

  // Started again, it has nothing left to do.
  const auto again = train(run, folder.path(), images, images);
  EXPECT_EQ(again.steps, result.steps);
  run.train.max_time = {0.75};
  run.config = options_to_json(run.train);
  EXPECT_GT(train(run, folder.path(), images, images).steps, result.steps);
}

TEST(PatientRun, EndsWithoutANewBest) {
  const TemporaryFolder folder;
  const Corners images(120);
  auto run = tiny_run();
  run.schedule.lr = 0.0;  // nothing is learned
  run.train.epochs = 50;
  run.train.patience = 3;
  run.config = options_to_json(run.train);
  const test::LogLines log;
  const auto result = train(run, folder.path(), images, images);
  EXPECT_EQ(result.steps, 20);  // the first of four evaluations, every 5 updates, is the best
  EXPECT_THAT(log.lines(),
              testing::Contains(HasSubstr("ends after update 20: no new best top-1 in 3 "
                                          "evaluations since that of update 5")));
  EXPECT_TRUE(std::filesystem::exists(folder / "last.h5"));
  EXPECT_EQ(train(run, folder.path(), images, images).steps, 20);
  run.train.patience = 4;
  run.config = options_to_json(run.train);
  EXPECT_EQ(train(run, folder.path(), images, images).steps, 25);
}

/// Images that take 10 ms each, much longer than the model.
class SlowCorners : public Corners {
 public:
  using Corners::Corners;
  Sample get(int64_t index) const override {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return Corners::get(index);
  }
};

TEST(WaitingRun, NamesTheSlowImagesAsTheCause) {
  const TemporaryFolder folder;
  const Corners val(20);
  const SlowCorners slow(120);
  auto run = tiny_run();
  run.train.epochs = 2.5;
  const test::LogLines log;
  train(run, folder.path(), slow, val);
  EXPECT_THAT(log.lines(), testing::Contains(HasSubstr("training waits for its images")));
}

TEST(ProfiledRun, WritesATableAndATrace) {
  const TemporaryFolder folder;
  const Corners images(120);
  auto run = tiny_run();
  run.train.profile = 4;
  const test::LogLines log;
  train(run, folder.path(), images, images);
  const auto table = read_text_file(folder / "profile.txt");
  EXPECT_THAT(table, AllOf(HasSubstr("time of 4 updates of 12 images on cpu"), HasSubstr("\ndata"),
                           HasSubstr("\nblocks.0/attn"), HasSubstr("\nblocks.1/moe/experts"),
                           HasSubstr("\noptimizer"), HasSubstr("\nupdate")));
  EXPECT_THAT(log.lines(), testing::Contains(HasSubstr("blocks.0/mlp")));
  const auto trace = Json::parse(read_text_file(folder / "profile-trace.json"));
  EXPECT_EQ(std::ranges::count(trace.at("traceEvents"), "optimizer",
                               [](const Json& event) { return event.at("name"); }),
            4);
}

TEST(ProfiledRun, ThatEndsEarlyHasWhatThereIs) {
  const TemporaryFolder folder;
  const Corners images(60);
  auto run = tiny_run();
  run.train.profile = 50;
  run.train.epochs = 1.0;
  train(run, folder.path(), images, images);
  EXPECT_THAT(read_text_file(folder / "profile.txt"), HasSubstr("time of 2 updates of 12 images"));
}

TEST(ProfiledRun, GivesTheSameWeights) {
  const TemporaryFolder plain;
  const TemporaryFolder profiled;
  const Corners images(60);
  auto run = tiny_run();
  train(run, plain.path(), images, images);
  run.train.profile = 2;
  train(run, profiled.path(), images, images);
  test::expect_same_run(plain.path(), profiled.path());
}

}  // namespace
}  // namespace softmoe
