#include "train/model_ema.h"

#include <gmock/gmock.h>

#include "checkpoints/model_checkpoint.h"
#include "core/error.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"
#include "train/tiny_run.h"

namespace softmoe {
namespace {

using test::Corners;
using test::TemporaryFolder;
using test::tiny_run;

/// Weights of the model in the folder `path` after its `last.h5`.
NamedTensors averages_in(const std::filesystem::path& path) {
  return load_checkpoint(path / "last.h5", {.ema = true}).ema;
}

test::TinyRun averaged_run() {
  auto run = tiny_run();
  run.train.model_ema = true;
  run.train.model_ema_decay = {0.5, 0.9};
  return run;
}

TEST(ModelEma, FollowsTheFormula) {
  auto model = make_model(tiny_run().model, 0);
  ModelEma ema(*model, {0.9}, /*warms_up=*/false);
  ModelEma warm(*model, {0.9}, /*warms_up=*/true);
  auto expected = model->named_parameters()["pos_embed"].detach().clone();
  auto expected_warm = expected.clone();
  for (int64_t step = 1; step <= 3; ++step) {
    const torch::NoGradGuard no_grad;
    auto weight = model->named_parameters()["pos_embed"];
    weight.add_(static_cast<double>(step));
    ema.update(*model, step);
    warm.update(*model, step);
    expected = 0.9 * expected + 0.1 * weight;
    const double decay = std::min(0.9, 1.0 - std::pow(1.0 + static_cast<double>(step), -2.0 / 3.0));
    expected_warm = decay * expected_warm + (1.0 - decay) * weight;
  }
  EXPECT_TRUE(test::all_close(ema.tensors().at("0.9/pos_embed"), expected));
  EXPECT_TRUE(test::all_close(warm.tensors().at("0.9/pos_embed"), expected_warm));
}

TEST(ModelEma, NamesTheAverageThatAFileLacks) {
  auto model = make_model(tiny_run().model, 0);
  const ModelEma saved(*model, {0.9}, false);
  ModelEma other(*model, {0.99}, false);
  EXPECT_THAT([&] { other.load(saved.tensors(), "last.h5"); },
              testing::ThrowsMessage<InputError>(testing::HasSubstr("one with decay 0.99")));
}

TEST(ModelEma, OfARunIsEvaluatedSavedAndResumed) {
  Corners train_set(120);
  Corners val_set(41);
  const TemporaryFolder whole;
  const auto result = test::train(averaged_run(), whole.path(), train_set, val_set);
  EXPECT_EQ(result.ema_best.size(), 2U);
  const auto best = load_model(whole / "ema-0.9.h5");
  EXPECT_EQ(best.description.options, tiny_run().model);
  const auto averages = averages_in(whole.path());
  const auto last = load_checkpoint(whole / "last.h5").model;
  EXPECT_FALSE(test::same_bits(averages.at("0.9/head.weight"), last.at("head.weight")));
  EXPECT_FALSE(test::same_bits(averages.at("0.9/head.weight"), averages.at("0.5/head.weight")));

  Corners stopping(120);
  stopping.interrupt_after(200);
  const TemporaryFolder parts;
  EXPECT_THROW(test::train(averaged_run(), parts.path(), stopping, val_set), Interrupted);
  const auto resumed = test::train(averaged_run(), parts.path(), train_set, val_set);
  EXPECT_EQ(resumed.ema_best, result.ema_best);
  for (const auto& [name, tensor] : averages_in(parts.path())) {
    EXPECT_TRUE(test::same_bits(tensor, averages.at(name))) << name;
  }
}

TEST(ModelEma, ChangesNothingOfTheTraining) {
  Corners train_set(60);
  Corners val_set(20);
  const TemporaryFolder with;
  const TemporaryFolder without;
  test::train(averaged_run(), with.path(), train_set, val_set);
  test::train(tiny_run(), without.path(), train_set, val_set);
  test::expect_same_run(with.path(), without.path());
}

}  // namespace
}  // namespace softmoe
