#include "train/world_rules.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "parallel/ranks.h"
#include "support/error_text.h"
#include "train/tiny_run.h"

namespace softmoe::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

/// The tiny run with experts shared out over `ranks` processes of a world.
TrainingSetup shared_setup(int64_t ranks) {
  auto setup = setup_of(tiny_run());
  setup.options.parallel.expert_parallel = ranks;
  return setup;
}

TEST(WorldRules, NameWhyExpertsCannotBeSharedOut) {
  const auto errors = run_ranks(2, [](const World& world) {
    const auto refusal = [&](int64_t ranks, const std::function<void(TrainingSetup&)>& change) {
      auto setup = shared_setup(ranks);
      setup.world = world;
      change(setup);
      return usage_error([&] { check_world(setup); });
    };
    const auto with_model = [](const std::function<void(VitOptions&)>& change) {
      return [change](TrainingSetup& setup) {
        auto model = setup.start.model->options();
        change(model);
        setup.start.model = VisionTransformer(model);
      };
    };
    EXPECT_THAT(refusal(3, [](auto&) {}),
                StartsWith("--expert-parallel: expected a divisor of the number of processes, 2"));
    EXPECT_THAT(refusal(2, with_model([](auto& model) { model.moe.experts = 5; })),
                HasSubstr("expected a divisor of --experts 5, found 2"));
    EXPECT_THAT(refusal(2, with_model([](auto& model) { model.moe_blocks = "none"; })),
                HasSubstr("expected 1 for a model without MoE layers, found 2"));
    EXPECT_THAT(refusal(2, with_model([](auto& model) {
                          model.moe.experts = 4;
                          model.moe.router = "smear";
                        })),
                HasSubstr("expected 1 with --router smear, which merges all experts"));
    EXPECT_THAT(refusal(2,
                        [&](TrainingSetup& setup) {
                          with_model([](auto& model) { model.moe.experts = 4; })(setup);
                          setup.options.optimizer.opt = "lamb";
                        }),
                HasSubstr("expected 1 with --opt lamb, which looks at all experts of a layer"));
  });
  EXPECT_EQ(errors, no_errors(2));
}

TEST(WorldRules, LetOneProcessHaveAllExperts) {
  auto setup = shared_setup(1);
  EXPECT_NO_THROW(check_world(setup));
  setup.options.parallel.expert_parallel = 2;
  EXPECT_THAT(usage_error([&] { check_world(setup); }),
              HasSubstr("a divisor of the number of processes, 1, found 2"));
}

TEST(WorldRules, SayWhichBatchesAreEven) {
  auto setup = shared_setup(1);
  setup.options.loader.batch_size = 9;
  EXPECT_TRUE(has_even_batches(setup));
  const auto errors = run_ranks(2, [&](const World& world) {
    auto shared = shared_setup(1);
    shared.world = world;
    shared.options.loader.batch_size = 9;
    EXPECT_FALSE(has_even_batches(shared));
    shared.options.loader.batch_size = 10;
    EXPECT_TRUE(has_even_batches(shared));
  });
  EXPECT_EQ(errors, no_errors(2));
}

}  // namespace
}  // namespace softmoe::test
