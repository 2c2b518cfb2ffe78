#include "train/hooks/metrics_hook.h"

#include <gtest/gtest.h>

#include "io/atomic_file.h"
#include "support/temporary_folder.h"
#include "train/hooks/hook_cases.h"

namespace softmoe {
namespace {

using test::state_at;

TEST(MetricsHook, WritesRecordsAndTimes) {
  const test::TemporaryFolder path;
  RunFolder folder(path.path());
  folder.begin(0);
  MetricsHook hook(folder);
  auto state = state_at(15);
  auto update = test::some_update();
  update.norms["blocks.1"] = {.gradient = 0.5, .weight = 2.0};
  TrainingRecord record{.update = update, .mean_loss = 0.625};
  record.routing[2].losses["z"] = 2.0;
  hook.at_record(state, record);
  const auto metrics = Json::parse(read_text_file(path / "metrics.jsonl"));
  EXPECT_EQ(metrics, (Json{{"step", 15},
                           {"epoch", 1.5},
                           {"train_loss", 0.625},
                           {"grad_norm", 3.0},
                           {"lr", state.schedule.rate(14)},
                           {"norms", {{"blocks.1", {{"grad", 0.5}, {"weight", 2.0}}}}},
                           {"routing", {{"block2", {{"z_loss", 2.0}}}}}}));
  const auto timing = Json::parse(read_text_file(path / "timing.jsonl"));
  EXPECT_EQ(timing, (Json{{"step", 15},
                          {"train_seconds", 8.0},
                          {"images_per_second", 4 * 12 / 2.0},
                          {"data_share", 0.25}}));
}

TEST(MetricsHook, LeavesRoutingOutForDenseModels) {
  const test::TemporaryFolder path;
  RunFolder folder(path.path());
  folder.begin(0);
  auto state = state_at(3);
  const ModelUpdate update;
  TrainingRecord record{.update = update, .mean_loss = 0.625};
  MetricsHook(folder).at_record(state, record);
  EXPECT_FALSE(Json::parse(read_text_file(path / "metrics.jsonl")).contains("routing"));
}

TEST(MetricsHook, WritesARowPerEvaluation) {
  const test::TemporaryFolder path;
  RunFolder folder(path.path());
  folder.begin(0);
  auto state = state_at(15);
  state.schedule = Schedule({.sched = "constant", .lr = 0.25}, state.length);
  test::set_evaluation(state, /*top1=*/0.75, /*is_best=*/true);
  MetricsHook(folder).at_evaluation(state);
  const auto text = read_text_file(path / "summary.csv");
  EXPECT_EQ(text.substr(text.find('\n') + 1), "1.5,15,1.25,0.5,0.75,0.875,0.25,0.625\n");
  EXPECT_EQ(Json::parse(read_text_file(path / "timing.jsonl")),
            (Json{{"step", 15}, {"train_seconds", 8.0}}));
}

TEST(MetricsHook, WritesTheAccuracyOfEachClassPerEvaluation) {
  const test::TemporaryFolder path;
  RunFolder folder(path.path());
  folder.begin(0);
  auto state = state_at(15);
  test::set_evaluation(state, /*top1=*/0.75, /*is_best=*/true);
  state.evaluation.result.class_accuracy = {0.5, std::nullopt, 1.0};
  state.evaluation.result.confusion = torch::zeros({3, 3}, torch::kInt64);
  MetricsHook hook(folder);
  hook.at_evaluation(state);
  hook.at_evaluation(state);  // a repeated one replaces the first
  const auto record = Json::parse(read_text_file(path / "evaluations.jsonl"));
  EXPECT_EQ(record.at("step"), 15);
  EXPECT_EQ(record.at("top1"), 0.75);
  EXPECT_EQ(record.at("class_accuracy"), (Json{0.5, nullptr, 1.0}));
  EXPECT_FALSE(record.contains("confusion"));
}

}  // namespace
}  // namespace softmoe
