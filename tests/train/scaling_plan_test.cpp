#include "train/scaling_plan.h"

#include <gmock/gmock.h>

#include "support/error_text.h"
#include "vit/zoo.h"

namespace softmoe {
namespace {

using test::usage_error;
using testing::HasSubstr;

RunOptions shared_run(int64_t ranks, int64_t batch) {
  RunOptions run;
  run.loader.batch_size = batch;
  run.parallel.expert_parallel = ranks;
  return run;
}

TEST(PlannedTraffic, OfSoftRoutingIsTheFormula) {
  // 4 B n p d s (W - 1) / W per rank and layer; B images of a rank.
  const auto model = model_preset("softmoe_s16_128e");
  const double layers = 6;
  const double once = 4.0 * 32 * 128 * 384 * 4.0 * 7 / 8;
  EXPECT_DOUBLE_EQ(planned_traffic(model, shared_run(8, 32 * 16), 16).exchanged, layers * once);
  auto run = shared_run(8, 32 * 16);
  run.parallel.exchange_dtype = Precision::kBFloat16;
  run.train.grad_accum_steps = 3;
  EXPECT_DOUBLE_EQ(planned_traffic(model, run, 16).exchanged, layers * once * 3 / 2);
  run.train.grad_checkpointing = true;
  EXPECT_DOUBLE_EQ(planned_traffic(model, run, 16).exchanged, layers * once * 3 / 2 * 6 / 4);
}

TEST(PlannedTraffic, SumsExpertsOverThoseThatHaveTheSame) {
  const auto model = model_preset("softmoe_s16_8e");
  const double experts = 6.0 * 8 * (2 * 384 * 1536 + 384 + 1536);
  const auto summed = [&](int64_t ranks, int64_t processes) {
    return planned_traffic(model, shared_run(ranks, 64), processes).summed;
  };
  EXPECT_DOUBLE_EQ(summed(1, 1), 0.0);
  const double all = summed(1, 8) / (2.0 * 4.0 * 7 / 8);  // parameters
  EXPECT_DOUBLE_EQ(summed(8, 8), 2.0 * 4.0 * 7 / 8 * (all - experts));
  EXPECT_DOUBLE_EQ(summed(4, 8), 2.0 * 4.0 * (7.0 / 8 * (all - experts) + 1.0 / 2 * experts / 4));
}

TEST(ScalingPlan, TakesTheFastestGroupsThatFit) {
  const auto model = model_preset("softmoe_s16_128e");
  ScalingOptions scaling;
  scaling.processes = {8};
  const auto roomy = plan_scaling(model, {}, scaling);
  ASSERT_EQ(roomy.size(), 1);
  for (const int64_t ranks : {1, 2, 4, 8}) {
    auto given = scaling;
    given.parallel.expert_parallel = ranks;
    EXPECT_LE(roomy[0].seconds(), plan_scaling(model, {}, given)[0].seconds()) << ranks;
  }
  scaling.memory = 12;
  for (const auto& row : plan_scaling(model, {}, scaling)) {
    EXPECT_TRUE(row.fits);
    EXPECT_GT(row.expert_parallel, 1);
    EXPECT_LE(row.memory.process_peak(), 12'000'000'000);
    EXPECT_GE(row.images * row.batches * row.processes, scaling.batch_size);
  }
  scaling.memory = 1;
  EXPECT_FALSE(plan_scaling(model, {}, scaling)[0].fits);
}

TEST(ScalingPlan, CountsTheTimeThatFiguresGive) {
  const auto model = model_preset("vit_s16");
  ScalingOptions scaling;
  scaling.processes = {1, 16};
  scaling.batch_size = 64;
  const auto rows = plan_scaling(model, {}, scaling);
  EXPECT_DOUBLE_EQ(rows[0].sum_seconds + rows[0].exchange_seconds, 0.0);
  EXPECT_NEAR(rows[0].compute_seconds / rows[1].compute_seconds, 16.0, 1e-9);
  // A slower network makes sums slower, and these the step, as far as the backward pass is shorter.
  scaling.network = 1e-3;
  const auto slow = plan_scaling(model, {}, scaling);
  EXPECT_GT(slow[1].sum_seconds, 100 * rows[1].sum_seconds);
  EXPECT_NEAR(slow[1].seconds() - slow[1].sum_seconds,
              slow[1].compute_seconds / 3 + slow[1].update_seconds, 1e-9);
}

TEST(ScalingPlan, RefusesNumbersThatDoNotFitEachOther) {
  const auto model = model_preset("softmoe_s16_8e");
  ScalingOptions scaling;
  scaling.processes = {8};
  scaling.parallel.expert_parallel = 3;
  EXPECT_THAT(usage_error([&] { plan_scaling(model, {}, scaling); }),
              HasSubstr("--expert-parallel: expected a divisor of 8 processes"));
  scaling = {};
  scaling.batch_size = 4;
  EXPECT_THAT(usage_error([&] { plan_scaling(model, {}, scaling); }),
              HasSubstr("--processes: expected at most the 4 images"));
}

}  // namespace
}  // namespace softmoe
