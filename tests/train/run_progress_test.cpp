#include "train/run_progress.h"

#include <gtest/gtest.h>

namespace softmoe {
namespace {

TEST(RunProgress, IsReadBackBitForBit) {
  const RunProgress progress{.step = 7,
                             .evaluated_step = 5,
                             .interval_loss = 0.1 + 0.2,
                             .interval_updates = 2,
                             .epoch_loss = 1.0 / 3,
                             .epoch_updates = 3,
                             .best_score = 0.875,
                             .best_step = 4,
                             .train_seconds = 12.5,
                             .upcycled_step = 3,
                             .upcycled_seconds = 2.5};
  const auto json = Json::parse(to_json(progress, /*epoch=*/1.75).dump());
  EXPECT_EQ(run_progress(json), progress);
  EXPECT_EQ(json.at("epoch"), 1.75);
}

}  // namespace
}  // namespace softmoe
