#include "sweep/study_plan.h"

#include <set>

#include "core/error.h"
#include "support/temporary_folder.h"

namespace softmoe {
namespace {

using Words = std::vector<std::string>;

StudyOptions grid() {
  StudyOptions options;
  options.output = "study";
  options.set = Words{"epochs=2", "lr=1e-3"};
  options.arms = Words{"dense: moe-blocks=none", "soft: moe-blocks=last_half; experts=16; lr=5e-4"};
  options.axes = Words{"batch-size=32,64", "weight-decay=0,0.1,0.3"};
  options.then = Words{"fewshot; dataset=digits; shots=1 5; checkpoint={run}/last.h5"};
  options.seeds = 2;
  return options;
}

TEST(StudyPlan, MakesEveryCombinationWithEverySeed) {
  const auto cells = study_cells(grid());
  ASSERT_EQ(cells.size(), 2U * 2U * 3U * 2U);
  std::set<std::string> names;
  for (const auto& cell : cells) {
    names.insert(cell.name);
    EXPECT_EQ(cell.steps.size(), 2U);
    EXPECT_EQ(cell.axis_values.size(), 2U);
  }
  EXPECT_EQ(names.size(), cells.size());
}

TEST(StudyPlan, LetsArmsAndAxesReplaceSettings) {
  const auto cells = study_cells(grid());
  const auto& soft = cells.back();
  EXPECT_EQ(soft.name, "soft-batch-size=64-weight-decay=0.3-s1");
  EXPECT_EQ(soft.steps[0].arguments,
            (Words{"train", "--epochs=2", "--moe-blocks=last_half", "--experts=16", "--lr=5e-4",
                   "--batch-size=64", "--weight-decay=0.3", "--seed=1", "--output=study/runs",
                   "--experiment=soft-batch-size=64-weight-decay=0.3-s1"}));
  EXPECT_EQ(soft.steps[0].json, "study/cells/soft-batch-size=64-weight-decay=0.3-s1.0.json");
}

TEST(StudyPlan, NamesTheRunFolderInFollowingSteps) {
  const auto cell = study_cells(grid()).front();
  EXPECT_EQ(cell.steps[1].arguments,
            (Words{"fewshot", "--dataset=digits", "--shots", "1", "5",
                   "--checkpoint=study/runs/dense-batch-size=32-weight-decay=0-s0/last.h5"}));
}

TEST(StudyPlan, PlansTheSecondRoundApart) {
  const auto options = grid();
  const auto cell = study_cells(options).front();
  const auto again = equal_time_cell(options, cell, 3.25);
  EXPECT_TRUE(again.equal_time);
  EXPECT_NE(again.name, cell.name);
  EXPECT_NE(again.steps[0].json, cell.steps[0].json);
  EXPECT_NE(
      std::find(again.steps[0].arguments.begin(), again.steps[0].arguments.end(), "--epochs=3.25"),
      again.steps[0].arguments.end());
}

TEST(StudyPlan, PreparesRunsThatCellsCanName) {
  auto options = grid();
  options.prepare = Words{"upstream: train; epochs=1"};
  options.set.emplace_back("checkpoint={study}/runs/upstream/last.h5");
  const auto steps = prepare_steps(options);
  ASSERT_EQ(steps.size(), 1U);
  EXPECT_EQ(steps[0].arguments,
            (Words{"train", "--epochs=1", "--output=study/runs", "--experiment=upstream"}));
  const auto cells = study_cells(options);
  const auto& words = cells.front().steps[0].arguments;
  EXPECT_NE(std::find(words.begin(), words.end(), "--checkpoint=study/runs/upstream/last.h5"),
            words.end());
}

TEST(StudyPlan, TunesModelsThatCellsGoOnFrom) {
  auto options = grid();
  options.command = "tune";
  options.prepare = Words{"tuned: tune; tasks=shapes digits"};
  options.set = Words{"init={study}/runs/tuned/last.h5"};
  EXPECT_EQ(
      prepare_steps(options).front().arguments,
      (Words{"tune", "--tasks", "shapes", "digits", "--output=study/runs", "--experiment=tuned"}));
  const auto step = study_cells(options).front().steps.front();
  EXPECT_EQ(step.arguments.at(0), "tune");
  EXPECT_EQ(step.arguments.at(1), "--init=study/runs/tuned/last.h5");
}

TEST(StudyPlan, RefusesWhatItCannotRead) {
  const auto refuses = [](auto change) {
    auto options = grid();
    change(options);
    EXPECT_THROW(study_cells(options), UsageError);
  };
  refuses([](auto& options) { options.arms = Words{}; });
  refuses([](auto& options) { options.arms = Words{"no colon"}; });
  refuses([](auto& options) { options.arms = Words{"a: x=1", "a: x=2"}; });
  refuses([](auto& options) { options.axes = Words{"batch-size"}; });
  refuses([](auto& options) { options.set = Words{"epochs"}; });
  refuses([](auto& options) { options.then = Words{"a=b; c=d"}; });
  auto options = grid();
  options.measures = Words{"accuracy: 2:/results/0/accuracy_mean"};
  EXPECT_THROW(study_measures(options), UsageError);
  options.measures = Words{"accuracy: 1:results"};
  EXPECT_THROW(study_measures(options), UsageError);
  options.measures = Words{"accuracy %: 1:/results/0/accuracy_mean"};
  const auto measures = study_measures(options);
  ASSERT_EQ(measures.size(), 1U);
  EXPECT_EQ(measures[0].pointer, "/results/0/accuracy_mean");
  EXPECT_TRUE(measures[0].is_percentage());
}

}  // namespace
}  // namespace softmoe
