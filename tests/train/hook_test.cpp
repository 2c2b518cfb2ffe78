/// When the loop calls its hooks.

#include "train/hook.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "support/temporary_folder.h"
#include "train/tiny_run.h"

namespace softmoe {
namespace {

using test::Corners;
using test::TemporaryFolder;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::IsSupersetOf;

/// The steps of every kind of call.
struct Calls {
  std::vector<int64_t> updates;
  std::vector<int64_t> records;
  std::vector<int64_t> evaluations;
  std::vector<int64_t> best_evaluations;
  std::vector<int64_t> checkpoints;
  std::vector<int64_t> saves;
  std::vector<int64_t> ends;
  std::vector<int64_t> loaded;
};

class CountingHook : public Hook {
 public:
  explicit CountingHook(Calls& calls) : calls_(calls) {}

  void after_update(TrainingState& state, const ModelUpdate& update) override {
    EXPECT_TRUE(std::isfinite(update.loss));
    calls_.updates.push_back(state.progress.step);
  }
  void at_record(TrainingState& state, TrainingRecord& record) override {
    EXPECT_FALSE(record.routing.empty());
    calls_.records.push_back(state.progress.step);
  }
  void at_evaluation(TrainingState& state) override {
    EXPECT_EQ(state.evaluation.step, state.progress.step);
    calls_.evaluations.push_back(state.progress.step);
    if (state.evaluation.is_best) {
      calls_.best_evaluations.push_back(state.progress.step);
    }
  }
  void at_checkpoint(TrainingState& state) override {
    calls_.checkpoints.push_back(state.progress.step);
  }
  void at_save(TrainingState& state) override { calls_.saves.push_back(state.progress.step); }
  void at_end(TrainingState& state) override { calls_.ends.push_back(state.progress.step); }
  void save_state(const TrainingState& state, Json& progress) const override {
    progress["counted"] = state.progress.step;
  }
  void load_state(TrainingState& /*state*/, const Json& progress) override {
    calls_.loaded.push_back(progress.at("counted"));
  }

 private:
  Calls& calls_;
};

/// Trains with a counting hook after the others; an interruption stops the run if one is expected.
Calls train_and_count(const TemporaryFolder& path, const Corners& train_set, bool interrupted) {
  const Corners val_set(20);
  RunFolder folder(path.path());
  Trainer trainer(setup_of(test::tiny_run()), train_set, val_set, folder);
  Calls calls;
  trainer.add_hook(std::make_unique<CountingHook>(calls));
  if (interrupted) {
    EXPECT_THROW(trainer.run(), Interrupted);
  } else {
    trainer.run();
  }
  return calls;
}

TEST(Hook, IsCalledWhenSomethingIsDue) {
  // 10 updates per epoch, 3 epochs; evaluations every half epoch, records every 3 updates.
  const TemporaryFolder folder;
  const auto calls = train_and_count(folder, Corners(120), /*interrupted=*/false);
  std::vector<int64_t> every_update(30);
  std::iota(every_update.begin(), every_update.end(), int64_t{1});
  EXPECT_EQ(calls.updates, every_update);
  EXPECT_THAT(calls.records, ElementsAre(3, 6, 9, 12, 15, 18, 21, 24, 27, 30));
  EXPECT_THAT(calls.evaluations, ElementsAre(5, 10, 15, 20, 25, 30));
  EXPECT_THAT(calls.checkpoints, IsSupersetOf({10, 20, 30}));
  EXPECT_THAT(calls.checkpoints, IsSupersetOf(calls.best_evaluations));
  for (const auto step : calls.checkpoints) {
    EXPECT_TRUE(step % 10 == 0 || testing::Value(calls.best_evaluations, testing::Contains(step)))
        << step;
  }
  EXPECT_THAT(calls.ends, ElementsAre(30));
  EXPECT_EQ(calls.saves, calls.evaluations);  // before each
  EXPECT_THAT(calls.loaded, IsEmpty());
}

TEST(Hook, IsToldOfAnInterruptionAndContinues) {
  const TemporaryFolder folder;
  Corners stopping(120);
  stopping.interrupt_after(100);
  const auto first = train_and_count(folder, stopping, /*interrupted=*/true);
  ASSERT_FALSE(first.saves.empty());
  const auto stopped = first.saves.back();
  EXPECT_EQ(first.updates.back(), stopped);
  EXPECT_THAT(first.ends, IsEmpty());
  const auto second = train_and_count(folder, Corners(120), /*interrupted=*/false);
  EXPECT_THAT(second.loaded, ElementsAre(stopped));
  EXPECT_EQ(second.updates.front(), stopped + 1);
  EXPECT_THAT(second.ends, ElementsAre(30));
}

TEST(Hook, OfAFinishedRunIsCalledForItsEndAlone) {
  const TemporaryFolder folder;
  train_and_count(folder, Corners(120), /*interrupted=*/false);
  const auto calls = train_and_count(folder, Corners(120), /*interrupted=*/false);
  EXPECT_THAT(calls.updates, IsEmpty());
  EXPECT_THAT(calls.records, IsEmpty());
  EXPECT_THAT(calls.evaluations, IsEmpty());
  EXPECT_THAT(calls.ends, ElementsAre(30));
}

}  // namespace
}  // namespace softmoe
