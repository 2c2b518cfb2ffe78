#include "train/adamw.h"

#include <gtest/gtest.h>

#include "train/optimizer_cases.h"

namespace softmoe {
namespace {

TEST(AdamW, FollowsTheUpstreamRecipe) {
  OptimizerOptions options;
  options.opt = "adamw";
  options.weight_decay = 0.0;
  options.decay_rules = {"head/kernel=3", ".*/kernel=0.03", ".*/Moe/Router/scale=0.03"};
  options.clip_grad = 1.0;
  ScheduleOptions schedule{.sched = "rsqrt", .lr = 0.05};
  schedule.warmup_steps = 2;
  schedule.cooldown_steps = 2;
  schedule.timescale = 2;
  test::expect_reference_trajectory("adam_soft_jft", options, schedule);
}

}  // namespace
}  // namespace softmoe
