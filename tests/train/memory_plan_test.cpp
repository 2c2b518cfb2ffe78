#include "train/memory_plan.h"

#include <gmock/gmock.h>

#include "core/log.h"
#include "support/error_text.h"
#include "support/peak_memory.h"
#include "train/hooks/hook_cases.h"
#include "train/model_update.h"
#include "train/optimizers.h"
#include "vit/cost.h"
#include "vit/zoo.h"

namespace softmoe {
namespace {

using test::usage_error;
using testing::HasSubstr;

RunOptions batches_of(int64_t images, int64_t batches = 1) {
  RunOptions options;
  options.loader.batch_size = images;
  options.train.grad_accum_steps = batches;
  return options;
}

/// A model whose activations take hundreds of megabytes, beside which buffers of libraries are few.
VitOptions measured_model(const std::string& router) {
  auto options = model_preset("vit_ti16");
  options.img_size = {160};
  options.depth = 4;
  options.num_classes = 10;
  if (!router.empty()) {
    options.moe_blocks = "last_half";
    options.moe.router = router;
    options.moe.experts = 4;
    options.moe.slots_per_expert = 25;
  }
  return options;
}

TEST(MemoryPlan, CountsParametersAndTheOptimizersState) {
  const auto model = model_preset("vit_s16");
  auto options = batches_of(1);
  const auto plan = plan_memory(model, options, Precision::kFloat32);
  const int64_t parameters = model_cost(model).parameters();
  EXPECT_EQ(plan.weights, 4 * parameters);
  EXPECT_EQ(plan.gradients, 4 * parameters);
  EXPECT_EQ(plan.optimizer, 8 * parameters + 8);  // two moments, one count
  options.optimizer.mu_dtype = Precision::kBFloat16;
  EXPECT_EQ(plan_memory(model, options, Precision::kFloat32).optimizer, 6 * parameters + 8);
  options.optimizer.opt = "sgd";
  options.train.model_ema = true;
  options.train.model_ema_decay = {0.9, 0.99};
  options.trainable.trainable = {"head"};
  const auto head = plan_memory(model, options, Precision::kFloat32);
  EXPECT_EQ(head.gradients, 4 * (384 * 1000 + 1000));
  EXPECT_EQ(head.optimizer, head.gradients + 8);
  EXPECT_EQ(head.averages, 2 * plan.weights);
}

TEST(MemoryPlan, OfSeveralProcessesHasPartsOfBatchesAndExperts) {
  const auto model = model_preset("softmoe_s16_8e");
  auto options = batches_of(64);
  const auto alone = plan_memory(model, options, Precision::kFloat32);
  EXPECT_EQ(alone.buckets, 0);
  const auto shared = plan_memory(model, options, Precision::kFloat32, 4);
  EXPECT_EQ(shared.activations, alone.activations / 4);
  EXPECT_EQ(shared.weights, alone.weights);
  EXPECT_EQ(shared.buckets, alone.gradients);
  options.parallel.expert_parallel = 4;
  const auto parted = plan_memory(model, options, Precision::kFloat32, 4);
  const int64_t experts = 6LL * 8 * (2 * 384 * 1536 + 384 + 1536);
  EXPECT_EQ(parted.weights, alone.weights - 4 * experts * 3 / 4);
  EXPECT_EQ(parted.optimizer, alone.optimizer - 8 * experts * 3 / 4);
  EXPECT_EQ(parted.buckets, alone.gradients - 4 * experts);  // nobody else has these experts
  options.parallel.expert_parallel = 2;
  options.parallel.reduce_dtype = Precision::kBFloat16;
  EXPECT_EQ(plan_memory(model, options, Precision::kFloat32, 4).buckets,
            (alone.gradients - 2 * experts) / 2);
}

TEST(MemoryPlan, GrowsWithTheBatchAndNotWithRecomputedBlocks) {
  const auto model = model_preset("vit_s16");
  auto options = batches_of(4);
  const auto small = plan_memory(model, options, Precision::kFloat32);
  options.loader.batch_size = 8;
  const auto large = plan_memory(model, options, Precision::kFloat32);
  EXPECT_EQ(large.activations, 2 * small.activations);
  EXPECT_LT(plan_memory(model, options, Precision::kBFloat16).activations, large.activations);
  options.train.grad_checkpointing = true;
  EXPECT_LT(plan_memory(model, options, Precision::kFloat32).activations, large.activations / 3);
}

class MemoryOfRouter : public testing::TestWithParam<std::string> {};

TEST_P(MemoryOfRouter, IsWhatTrainingTakes) {
  for (const bool recompute : {false, true}) {
    const auto options = measured_model(GetParam());
    auto run = batches_of(48);
    run.train.grad_checkpointing = recompute;
    const auto plan = plan_memory(options, run, Precision::kFloat32);
    auto model = make_model(options, 1);
    model->train();
    model->set_grad_checkpointing(recompute);
    const auto optimizer = make_optimizer(named_parameters(*model), run.optimizer);
    const auto batch = [] {
      return Batch{.images = torch::zeros({48, 3, 160, 160}),
                   .labels = torch::zeros({48}, torch::kInt64),
                   .indices = {}};
    };
    const auto update = [&] { update_model(model, *optimizer, {}, batch, {.step = {}}); };
    const auto grown = test::peak_growth(update);
    if (!grown) {
      GTEST_SKIP() << "the system does not tell the peak of memory";
    }
    const auto expected = static_cast<double>(plan.peak() - plan.weights - plan.optimizer);
    EXPECT_NEAR(static_cast<double>(*grown), expected, 0.25 * expected + 32e6) << recompute;
  }
}

TEST(MemoryPlan, KnowsTheLogitsOfManyClasses) {
  auto model_options = model_preset("vit_ti16");
  model_options.img_size = {32};
  model_options.depth = 1;
  model_options.num_classes = 20'000;
  for (const int64_t rows : {0, 32}) {
    auto run = batches_of(256);
    run.objectives.loss.loss_chunk = rows;
    const auto plan = plan_memory(model_options, run, Precision::kFloat32);
    auto model = make_model(model_options, 1);
    model->train();
    const auto optimizer = make_optimizer(named_parameters(*model), run.optimizer);
    const auto batch = [] {
      return Batch{.images = torch::zeros({256, 3, 32, 32}),
                   .labels = torch::zeros({256}, torch::kInt64),
                   .indices = {}};
    };
    const auto update = [&] {
      update_model(model, *optimizer, run.objectives, batch, {.step = {}});
    };
    const auto grown = test::peak_growth(update);
    if (!grown) {
      GTEST_SKIP() << "the system does not tell the peak of memory";
    }
    const auto expected = static_cast<double>(plan.peak() - plan.weights - plan.optimizer);
    EXPECT_NEAR(static_cast<double>(*grown), expected, 0.25 * expected + 16e6) << rows;
  }
}

INSTANTIATE_TEST_SUITE_P(Routers, MemoryOfRouter,
                         testing::Values("", "soft", "tokens_choice", "experts_choice"),
                         [](const auto& test_case) {
                           return test_case.param.empty() ? "dense" : test_case.param;
                         });

TEST(MemoryFit, DividesTheBatchOnlyAsFarAsNecessary) {
  const auto model = model_preset("vit_s16");
  const auto options = batches_of(64, 2);
  const auto whole = plan_memory(model, options, Precision::kFloat32);
  const auto as_asked = fit_memory(model, options, Precision::kFloat32, whole.process_peak());
  EXPECT_EQ(as_asked.flags(), "--batch-size 64 --grad-accum-steps 2");
  const auto divided = fit_memory(model, options, Precision::kFloat32, whole.process_peak() - 1);
  EXPECT_EQ(divided.flags(), "--batch-size 32 --grad-accum-steps 4");
  EXPECT_LT(divided.plan.process_peak(), whole.process_peak());
}

TEST(MemoryFit, RecomputesIfBatchesMustStay) {
  auto model = model_preset("vit_s16");
  model.moe_blocks = "last_half";
  model.moe.router = "experts_choice";
  model.moe.experts = 4;
  const auto options = batches_of(64);
  const auto whole = plan_memory(model, options, Precision::kFloat32);
  const auto fit = fit_memory(model, options, Precision::kFloat32, whole.process_peak() - 1);
  EXPECT_EQ(fit.flags(), "--batch-size 64 --grad-accum-steps 1 --grad-checkpointing");
}

TEST(MemoryFit, SaysWhatTheLeastIs) {
  const auto model = model_preset("vit_s16");
  EXPECT_THAT(
      usage_error([&] { fit_memory(model, batches_of(8), Precision::kFloat32, 1'000'000); }),
      HasSubstr("which --batch-size 1 --grad-accum-steps 8 --grad-checkpointing takes, found "
                "1.00 MB"));
}

TEST(MemoryFit, IsAppliedToARun) {
  const auto model = model_preset("vit_s16");
  auto options = batches_of(64);
  options.train.fit_memory = "2GB";
  const test::LogLines log;
  apply_memory_limit(model, options, Precision::kFloat32);
  EXPECT_EQ(options.loader.batch_size * options.train.grad_accum_steps, 64);
  EXPECT_LT(options.loader.batch_size, 64);
  EXPECT_THAT(log.lines(), testing::ElementsAre(HasSubstr("of 2GB with --batch-size")));
  options.train.fit_memory = "2 elephants";
  EXPECT_THAT(usage_error([&] { apply_memory_limit(model, options, Precision::kFloat32); }),
              HasSubstr("--fit-memory: expected a size such as 20GiB or 500MB"));
}

}  // namespace
}  // namespace softmoe
