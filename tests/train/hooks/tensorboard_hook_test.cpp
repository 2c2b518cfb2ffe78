#include "train/hooks/tensorboard_hook.h"

#include <gtest/gtest.h>

#include <map>

#include "io/atomic_file.h"
#include "support/temporary_folder.h"
#include "tests/train/event_reader.h"
#include "train/hooks/hook_cases.h"

namespace softmoe {
namespace {

using test::state_at;

/// The points of all curves in the one event file of `folder`, all of which are at `step`.
std::map<std::string, float> points_in(const std::filesystem::path& folder, int64_t step) {
  std::map<std::string, float> points;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().filename().string().starts_with("events.")) {
      for (const auto& event : test::read_events(read_text_file(entry.path()))) {
        if (event.scalar) {
          EXPECT_EQ(event.step, step) << event.tag;
          points[event.tag] = *event.scalar;
        }
      }
    }
  }
  return points;
}

TEST(TensorBoardHook, AddsPointsOfRecordsAndTheirRouting) {
  const test::TemporaryFolder path;
  RunFolder folder(path.path());
  folder.begin(0);
  auto state = state_at(15);
  const auto update = test::some_update();
  TrainingRecord record{.update = update, .mean_loss = 0.625};
  record.routing[2].losses["z"] = 2.0;
  TensorBoardHook(folder).at_record(state, record);
  EXPECT_EQ(points_in(path.path(), 15),
            (std::map<std::string, float>{{"routing/block2/z_loss", 2.0F},
                                          {"train/loss", 0.625F},
                                          {"train/lr", static_cast<float>(state.last_rate())},
                                          {"train/grad_norm", 3.0F},
                                          {"train/images_per_second", 24.0F}}));
}

TEST(TensorBoardHook, AddsPointsOfEvaluations) {
  const test::TemporaryFolder path;
  RunFolder folder(path.path());
  folder.begin(0);
  auto state = state_at(15);
  test::set_evaluation(state, /*top1=*/0.75, /*is_best=*/false);
  TensorBoardHook(folder).at_evaluation(state);
  EXPECT_EQ(points_in(path.path(), 15),
            (std::map<std::string, float>{{"eval/loss", 0.5F},
                                          {"eval/top1", 0.75F},
                                          {"eval/top5", 0.875F},
                                          {"eval/balanced_accuracy", 0.625F}}));
}

}  // namespace
}  // namespace softmoe
