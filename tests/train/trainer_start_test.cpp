/// The start of a run and what may change in it: frozen parameters, kept optimizer state,
/// starts that are refused, bad images over several sittings.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoints/model_checkpoint.h"
#include "core/error.h"
#include "io/atomic_file.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"
#include "train/tiny_run.h"

namespace softmoe {
namespace {

using test::Corners;
using test::expect_resumes;
using test::TemporaryFolder;
using test::tiny_run;
using test::TinyRun;
using test::train;
using testing::HasSubstr;

/// A run in which only the parameters of `trainable` without `freeze` learn, in bf16 if `fused`.
TinyRun partial_run(const std::vector<std::string>& trainable,
                    const std::vector<std::string>& freeze, bool fused) {
  auto run = tiny_run();
  run.train.epochs = 1;
  run.trainable = {.trainable = trainable, .freeze = freeze};
  if (fused) {
    run.train.amp_dtype = "bfloat16";
    run.model.moe.router_noise = 0;
  }
  return run;
}

TEST(TrainerFreezing, FrozenParametersKeepEveryBitAndHaveNoState) {
  Corners train_set(120);
  Corners val_set(20);
  for (const bool fused : {false, true}) {
    for (const auto& [trainable, freeze] :
         std::vector<std::pair<std::vector<std::string>, std::vector<std::string>>>{
             {{"attention"}, {}}, {{"moe"}, {"gates"}}, {{"all"}, {"experts"}}, {{"head"}, {}}}) {
      const auto run = partial_run(trainable, freeze, fused);
      TemporaryFolder folder;
      const auto result = train(run, folder.path(), train_set, val_set);
      const auto start = named_tensors(*make_model(run.model, run.train.seed));
      auto model = make_model(run.model, run.train.seed);
      const auto share = set_trainable(*model, run.trainable);
      EXPECT_EQ(result.parameters.learning, share.learning);
      EXPECT_LT(share.learning, share.total);
      const auto checkpoint = load_checkpoint(folder / "last.h5");
      EXPECT_EQ(checkpoint.metadata.at("trainable").at("parameters"), share.learning);
      for (const auto& item : model->named_parameters()) {
        const auto& name = item.key();
        const bool learns = item.value().requires_grad();
        EXPECT_NE(learns, bool{test::same_bits(checkpoint.model.at(name), start.at(name))})
            << name << " of " << trainable.front();
        EXPECT_EQ(checkpoint.optimizer.contains("exp_avg/" + name), learns) << name;
      }
    }
  }
}

TEST(TrainerFreezing, FrozenRoutersKeepTheirStateToo) {
  Corners train_set(120);
  Corners val_set(20);
  for (const bool frozen : {false, true}) {
    auto run = partial_run({"all"}, {}, /*fused=*/false);
    run.model.moe.router = "tokens_choice";
    run.model.moe.router_noise = 0;
    run.model.moe.sparse.selection_bias_rate = 0.01;
    if (frozen) {
      run.trainable.freeze = {"router"};
    }
    TemporaryFolder folder;
    train(run, folder.path(), train_set, val_set);
    const auto bias =
        load_checkpoint(folder / "last.h5").model.at("blocks.1.moe.router.selection_bias");
    EXPECT_EQ(bias.count_nonzero().item<int64_t>() == 0, frozen);
  }
}

TEST(TrainerFreezing, ResultTellsTheShare) {
  Corners train_set(60);
  Corners val_set(20);
  TemporaryFolder folder;
  const auto json =
      to_json(train(partial_run({"head"}, {}, /*fused=*/false), folder.path(), train_set, val_set));
  EXPECT_EQ(json.at("trainable_parameters"), 4 * 17);
  EXPECT_DOUBLE_EQ(json.at("trainable_share").get<double>(),
                   4.0 * 17.0 / json.at("parameters").get<double>());
}

TEST(TrainerFreezing, InterruptedAndResumedEqualsUninterrupted) {
  Corners train_set(120);
  Corners val_set(20);
  const auto run = partial_run({"moe"}, {"router"}, /*fused=*/false);
  TemporaryFolder whole;
  train(run, whole.path(), train_set, val_set);
  Corners stopping(120);
  stopping.interrupt_after(70);
  expect_resumes(run, whole.path(), {stopping, val_set}, {train_set, val_set});
}

TEST(TrainerStart, RefusedStartsLeaveNoFolder) {
  Corners train_set(10);
  Corners val_set(10);
  TemporaryFolder folder;
  EXPECT_THROW(train(tiny_run(), folder / "large", train_set, val_set), InputError);
  Corners enough(60);
  EXPECT_THROW(train(partial_run({"nothing"}, {}, false), folder / "words", enough, val_set),
               UsageError);
  auto run = tiny_run();
  run.optimizer_state = {{"momentum/head.weight", torch::zeros({4, 16})}};
  EXPECT_THROW(train(run, folder / "state", enough, val_set), InputError);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(TrainerStart, RefusedResumeLeavesTheConfig) {
  Corners train_set(60);
  Corners val_set(20);
  TemporaryFolder folder;
  auto run = tiny_run();
  run.config_text = "seed = 0\n";
  train(run, folder.path(), train_set, val_set);
  run.train.seed = 5;
  run.config = options_to_json(run.train);
  run.config_text = "seed = 5\n";
  EXPECT_THROW(train(run, folder.path(), train_set, val_set), UsageError);
  EXPECT_EQ(read_text_file(folder / "config.toml"), "seed = 0\n");
}

TEST(TrainerStart, KeptOptimizerStateGoesOnAndSurvivesInterruptions) {
  Corners train_set(120);
  Corners val_set(20);
  TemporaryFolder first;
  train(tiny_run(), first.path(), train_set, val_set);
  auto state = load_checkpoint(first / "last.h5").optimizer;
  state.erase("exp_avg/head.weight");
  auto run = tiny_run();
  run.schedule.lr = 1e-3;
  TemporaryFolder reset;
  train(run, reset.path(), train_set, val_set);
  run.optimizer_state = state;
  TemporaryFolder whole;
  train(run, whole.path(), train_set, val_set);
  const auto kept = load_checkpoint(whole / "last.h5");
  EXPECT_FALSE(
      torch::equal(kept.optimizer.at("exp_avg_sq/pos_embed"),
                   load_checkpoint(reset / "last.h5").optimizer.at("exp_avg_sq/pos_embed")));
  EXPECT_EQ(kept.optimizer.at("age/pos_embed").item<int64_t>(), 30);
  EXPECT_FALSE(kept.optimizer.contains("age/head.weight"));
  Corners stopping(120);
  stopping.interrupt_after(150);
  expect_resumes(run, whole.path(), {stopping, val_set}, {train_set, val_set});
}

TEST(TrainerStart, BadImagesCountOverAllSittings) {
  Corners val_set(20);
  Corners train_set(120);
  train_set.spoil({3, 50, 90, 111});
  auto run = tiny_run();
  run.loader.max_bad_images = 3.5 / 120;
  TemporaryFolder whole;
  EXPECT_THROW(train(run, whole.path(), train_set, val_set), InputError);

  run.loader.max_bad_images = 4.5 / 120;
  TemporaryFolder parts;
  Corners stopping(120);
  stopping.spoil({3, 50, 90, 111});
  stopping.interrupt_after(200);  // in the second epoch, when all are known
  EXPECT_THROW(train(run, parts.path(), stopping, val_set), Interrupted);
  const auto known = load_metadata(parts / "last.h5").at("progress").at("bad_images");
  ASSERT_EQ(known.size(), 4U);
  EXPECT_THAT(known.at(0).at("reason").get<std::string>(), HasSubstr("spoilt"));
  // A fifth one is one too many, though this sitting alone sees no five.
  Corners worse(120);
  worse.spoil({7});
  EXPECT_THROW(train(run, parts.path(), worse, val_set), InputError);
}

}  // namespace
}  // namespace softmoe
