#include "train/sgd.h"

#include <gtest/gtest.h>

#include "train/optimizer_cases.h"

namespace softmoe {
namespace {

TEST(Sgd, FollowsTheFinetuneRecipe) {
  OptimizerOptions options;
  options.opt = "sgd";
  options.weight_decay = 0.0;
  options.momentum = 0.9;
  options.clip_grad = 1.5;
  ScheduleOptions schedule{.sched = "cosine", .lr = 0.1, .min_lr = 1e-3};
  schedule.warmup_steps = 2;
  test::expect_reference_trajectory("sgd_finetune", options, schedule);
}

}  // namespace
}  // namespace softmoe
