/// Routing in training: losses, statistics, warnings.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoints/model_checkpoint.h"
#include "core/error.h"
#include "core/log.h"
#include "core/split_text.h"
#include "io/atomic_file.h"
#include "softmoe/routers.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"
#include "train/tiny_run.h"

namespace softmoe {
namespace {

using test::Corners;
using test::setup_of;
using test::TemporaryFolder;
using test::tiny_run;
using test::TinyRun;
using test::train;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// Collects the lines that begin with "warning".
class Warnings {
 public:
  Warnings()
      : before_(set_log_sink([this](const std::string& line) {
          if (line.starts_with("warning")) {
            lines_.push_back(line);
          }
        })) {}
  ~Warnings() { set_log_sink(before_); }
  Warnings(const Warnings&) = delete;
  Warnings& operator=(const Warnings&) = delete;

  const std::vector<std::string>& lines() const { return lines_; }

 private:
  std::vector<std::string> lines_;
  LogSink before_;
};

/// The tiny run with a sparse router in its second block.
TinyRun sparse_run() {
  auto run = tiny_run();
  run.model.moe.router = "tokens_choice";
  run.model.moe.slots_per_expert = 0;
  run.model.moe.router_noise = 1.0;
  run.objectives.router_losses = default_router_losses(router_row("tokens_choice"));
  return run;
}

std::vector<Json> metrics_of(const std::filesystem::path& folder) {
  std::vector<Json> records;
  for (const auto& line : split_text(read_text_file(folder / "metrics.jsonl"), '\n')) {
    records.push_back(Json::parse(line));
  }
  return records;
}

/// A model whose router never chooses expert 2: the logits of the others are opposite numbers.
VisionTransformer starving_model(const TinyRun& run) {
  auto model = make_model(run.model, run.train.seed);
  const torch::NoGradGuard no_grad;
  auto weight = model->named_parameters()["blocks.1.moe.router.weight"];  // [experts, dim]
  weight[1].copy_(-weight[0]);
  weight[2].zero_();
  return model;
}

TrainResult train_starving(const std::filesystem::path& path, const Dataset& train_set,
                           const Dataset& val_set) {
  auto run = sparse_run();
  run.model.moe.router_noise = 0;
  run.model.moe.capacity_factor = 8;
  run.trainable.freeze = {"router"};
  run.train.idle_steps = 10;
  RunFolder folder(path);
  auto setup = setup_of(run);
  setup.start.model = starving_model(run);
  Trainer trainer(std::move(setup), train_set, val_set, folder);
  return trainer.run();
}

TEST(TrainerRouting, StatisticsAndLossesOfEveryLayerAreRecorded) {
  Corners train_set(120);
  Corners val_set(20);
  TemporaryFolder folder;
  auto run = sparse_run();
  run.train.grad_accum_steps = 2;
  train(run, folder.path(), train_set, val_set);
  const auto records = metrics_of(folder.path());
  ASSERT_EQ(records.size(), 5U);
  for (const auto& record : records) {
    const auto& layer = record.at("routing").at("block1");
    EXPECT_EQ(record.at("routing").size(), 1U);
    EXPECT_GE(layer.at("max_load").get<double>(), 1.0 / 3 - 1e-6);
    EXPECT_LE(layer.at("min_load").get<double>(), 1.0 / 3 + 1e-6);
    EXPECT_GE(layer.at("dropped").get<double>(), 0.0);
    EXPECT_GT(layer.at("entropy").get<double>(), 0.0);
    EXPECT_LE(layer.at("entropy").get<double>(), std::log(3.0) + 1e-6);
    EXPECT_GT(layer.at("importance_loss").get<double>(), 0.0);
    EXPECT_GT(layer.at("load_loss").get<double>(), 0.0);
    EXPECT_FALSE(layer.contains("balance_loss"));
  }
}

TEST(TrainerRouting, LossesAreOffWhereTheirCoefficientsAre) {
  Corners train_set(60);
  Corners val_set(20);
  TemporaryFolder with_losses;
  TemporaryFolder without;
  auto run = sparse_run();
  run.train.epochs = 1;
  run.objectives.router_losses.coefficients.fill(10.0);
  train(run, with_losses.path(), train_set, val_set);
  run.objectives.router_losses = {};
  train(run, without.path(), train_set, val_set);
  const auto records = metrics_of(without.path());
  for (const auto& [name, value] : records.back().at("routing").at("block1").items()) {
    EXPECT_FALSE(name.ends_with("_loss")) << name;
  }
  const auto name = "blocks.1.moe.router.weight";
  EXPECT_FALSE(torch::equal(load_checkpoint(with_losses / "last.h5").model.at(name),
                            load_checkpoint(without / "last.h5").model.at(name)));
}

TEST(TrainerRouting, DenseModelsHaveNone) {
  Corners train_set(60);
  Corners val_set(20);
  TemporaryFolder folder;
  auto run = tiny_run();
  run.model.moe_blocks = "none";
  train(run, folder.path(), train_set, val_set);
  EXPECT_FALSE(metrics_of(folder.path()).back().contains("routing"));
}

TEST(TrainerRouting, RecordingMoreOftenChangesNoBit) {
  Corners train_set(60);
  Corners val_set(20);
  // bf16 takes the fused operators if the machine has them.
  for (const auto* dtype : {"float32", "bfloat16"}) {
    for (const auto* router : {"soft", "tokens_choice", "experts_choice"}) {
      auto run = tiny_run();
      run.model.moe.router = router;
      run.model.moe.router_noise = 0;
      run.train.amp_dtype = dtype;
      run.train.epochs = 2;
      TemporaryFolder often;
      TemporaryFolder rarely;
      run.train.log_interval = 1;
      train(run, often.path(), train_set, val_set);
      run.train.log_interval = 7;
      train(run, rarely.path(), train_set, val_set);
      const auto expected = load_checkpoint(often / "last.h5").model;
      for (const auto& [name, tensor] : load_checkpoint(rarely / "last.h5").model) {
        EXPECT_TRUE(test::same_bits(tensor, expected.at(name)))
            << name << ", " << router << " in " << dtype;
      }
    }
  }
}

TEST(TrainerRouting, WarnsOnceOfAStarvedExpert) {
  Corners train_set(120);
  Corners val_set(20);
  TemporaryFolder folder;
  const Warnings warnings;
  train_starving(folder.path(), train_set, val_set);
  EXPECT_THAT(warnings.lines(),
              ElementsAre("warning: block 1: expert 2 got no token in any record from update 3 to "
                          "15"));
  EXPECT_EQ(metrics_of(folder.path()).back().at("routing").at("block1").at("idle_experts"), 1.0);
}

TEST(TrainerRouting, InterruptedRunsWarnAsUninterruptedOnes) {
  Corners train_set(120);
  Corners val_set(20);
  // Before the expert is known to be idle, before the warning, and after it.
  for (const auto& [gets, before] :
       {std::pair(1, 0U), std::pair(12 * 9, 0U), std::pair(12 * 24, 1U)}) {
    TemporaryFolder folder;
    Corners stopping(120);
    stopping.interrupt_after(gets);
    const Warnings warnings;
    EXPECT_THROW(train_starving(folder.path(), stopping, val_set), Interrupted);
    EXPECT_EQ(warnings.lines().size(), before) << gets;
    train_starving(folder.path(), train_set, val_set);
    EXPECT_THAT(warnings.lines(), ElementsAre(HasSubstr("from update 3 to 15"))) << gets;
  }
}

TEST(TrainerRouting, NobodyIsIdleInASoftLayer) {
  Corners train_set(60);
  Corners val_set(20);
  TemporaryFolder folder;
  auto run = tiny_run();
  run.train.idle_steps = 1;
  const Warnings warnings;
  train(run, folder.path(), train_set, val_set);
  EXPECT_THAT(warnings.lines(), IsEmpty());
  const auto layer = metrics_of(folder.path()).back().at("routing").at("block1");
  EXPECT_NEAR(layer.at("max_load").get<double>(), 1.0 / 3, 1e-6);
  EXPECT_EQ(layer.at("dropped").get<double>(), 0.0);
}

}  // namespace
}  // namespace softmoe
