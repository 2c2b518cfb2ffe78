/// Fine-tuning a sparse model by the program.

#include <gmock/gmock.h>

#include "checkpoints/checkpoint.h"
#include "cli/tiny.h"
#include "core/split_text.h"
#include "io/atomic_file.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"

namespace softmoe::test {
namespace {

using testing::HasSubstr;

/// One model with a tokens-choice layer, and its optimizer, for all tests of a process.
class Finetune : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<TemporaryFolder>();
    training_ = run_program(tiny_training(folder_->path()) +
                            Words{"--router", "tokens_choice", "--max-steps", "20"});
  }
  static void TearDownTestSuite() { folder_.reset(); }

  void SetUp() override { ASSERT_TRUE(succeeds(training_)); }

  static std::filesystem::path place(const std::string& name) { return *folder_ / name; }
  /// Fine-tunes it on the same digits for a few updates, into the folder `name`.
  static ProgramRun finetune(const std::string& name, const Words& more) {
    return run_program(Words{"finetune",
                             "--checkpoint",
                             place("run/last.h5").string(),
                             "--dataset",
                             "digits",
                             "--batch-size",
                             "64",
                             "--max-steps",
                             "4",
                             "--log-interval",
                             "2",
                             "--amp-dtype",
                             "float32",
                             "--threads",
                             "1",
                             "--output",
                             folder_->path().string(),
                             "--experiment",
                             name,
                             "--json",
                             place(name + ".json").string()} +
                       more);
  }
  static Json last_metrics(const std::string& name) {
    return Json::parse(split_text(read_text_file(place(name) / "metrics.jsonl"), '\n').back());
  }

  static std::unique_ptr<TemporaryFolder> folder_;
  static ProgramRun training_;
};

std::unique_ptr<TemporaryFolder> Finetune::folder_;
ProgramRun Finetune::training_;

TEST_F(Finetune, TrainsTheChosenPartAndSaysHowLargeItIs) {
  const auto run =
      finetune("experts", {"--trainable", "moe", "--freeze", "gates", "--layer-decay", "0.75"});
  ASSERT_TRUE(succeeds(run));
  // Three experts of two layers, and the head: 16 channels, 24 inside, 10 classes.
  const int64_t learning = 3 * (24 * 17 + 16 * 25) + 10 * 17;
  EXPECT_THAT(run.error, HasSubstr(std::to_string(learning) + " of "));
  const auto result = read_json(place("experts.json")).at("result");
  EXPECT_EQ(result.at("trainable_parameters"), learning);
  EXPECT_DOUBLE_EQ(result.at("trainable_share").get<double>(),
                   static_cast<double>(learning) / result.at("parameters").get<double>());
  const auto before = load_checkpoint(place("run/last.h5"));
  const auto after = load_checkpoint(place("experts/last.h5"));
  EXPECT_EQ(after.metadata.at("trainable").at("parameters"), learning);
  EXPECT_EQ(after.metadata.at("config").at("trainable"), (Json{"moe"}));
  for (const auto& [name, tensor] : before.model) {
    const bool learns = name.find(".experts.") != std::string::npos || name.starts_with("head.");
    EXPECT_NE(learns, bool{same_bits(after.model.at(name), tensor)}) << name;
    EXPECT_EQ(after.optimizer.contains("exp_avg/" + name), learns) << name;
  }
}

TEST_F(Finetune, TheCheckpointIsGivenByPlaceOrByFlag) {
  ASSERT_TRUE(succeeds(finetune("flag", {})));
  const auto by_place =
      run_program({"finetune", place("run/last.h5").string(), "--dataset", "digits", "--batch-size",
                   "64", "--max-steps", "4", "--amp-dtype", "float32", "--threads", "1", "--output",
                   folder_->path().string(), "--experiment", "place"});
  ASSERT_TRUE(succeeds(by_place));
  const auto placed = load_checkpoint(place("place/last.h5")).model;
  for (const auto& [name, tensor] : load_checkpoint(place("flag/last.h5")).model) {
    EXPECT_TRUE(same_bits(placed.at(name), tensor)) << name;
  }
  EXPECT_TRUE(fails_with_one_line(finetune("flag", {"other.h5"}), 2,
                                  {"'other.h5'", "--checkpoint gives CHECKPOINT already"}));
  // A run's own config names its checkpoint.
  EXPECT_TRUE(succeeds(run_program({"finetune", "--config", place("flag/config.toml").string()})));
}

TEST_F(Finetune, RouterLossesAreOnUnlessTheyAreSwitchedOff) {
  ASSERT_TRUE(succeeds(finetune("on", {})));
  const auto with = last_metrics("on").at("routing").at("block1");
  EXPECT_TRUE(with.contains("importance_loss"));
  ASSERT_TRUE(succeeds(finetune("off", {"--importance-loss", "0", "--load-loss", "0"})));
  const auto without = last_metrics("off").at("routing").at("block1");
  EXPECT_FALSE(without.contains("importance_loss"));
  EXPECT_FALSE(without.contains("load_loss"));
  EXPECT_TRUE(without.contains("dropped"));
  const auto result = read_json(place("off.json"));
  EXPECT_EQ(result.at("result").at("routing").at("block1"), without);
  EXPECT_EQ(result.at("routing"), without);  // of one layer
}

TEST_F(Finetune, CapacityOfEvaluationIsItsOwn) {
  // With a rate of zero and the head kept, nothing but the capacities can differ.
  const Words still{"--lr", "0", "--keep-head"};
  ASSERT_TRUE(succeeds(finetune("narrow", still + Words{"--eval-capacity-factor", "0.1"})));
  ASSERT_TRUE(succeeds(finetune("wide", still + Words{"--eval-capacity-factor", "8"})));
  EXPECT_EQ(last_metrics("narrow"), last_metrics("wide"));
  EXPECT_NE(read_json(place("narrow.json")).at("result").at("last").at("loss"),
            read_json(place("wide.json")).at("result").at("last").at("loss"));
  EXPECT_EQ(load_metadata(place("wide/last.h5")).at("model").at("eval-capacity-factor"), 8.0);
  ASSERT_TRUE(succeeds(finetune("tight", still + Words{"--capacity-factor", "0.2"})));
  EXPECT_GT(last_metrics("tight").at("routing").at("block1").at("dropped").get<double>(),
            last_metrics("wide").at("routing").at("block1").at("dropped").get<double>());
}

TEST_F(Finetune, OptimizerStateIsResetOrKept) {
  ASSERT_TRUE(succeeds(finetune("reset", {})));
  const auto run = finetune("kept", {"--optimizer-state", "keep"});
  ASSERT_TRUE(succeeds(run));
  EXPECT_THAT(run.error, HasSubstr("optimizer state kept for "));
  const auto reset = load_checkpoint(place("reset/last.h5")).optimizer;
  const auto kept = load_checkpoint(place("kept/last.h5")).optimizer;
  EXPECT_FALSE(reset.contains("age/pos_embed"));
  EXPECT_EQ(kept.at("age/pos_embed").item<int64_t>(), 20);
  EXPECT_FALSE(kept.contains("age/head.weight"));  // the head starts anew
  EXPECT_FALSE(torch::equal(reset.at("exp_avg_sq/pos_embed"), kept.at("exp_avg_sq/pos_embed")));
}

TEST_F(Finetune, ResizesPositionsAsTheCheckpointSaysUnlessToldOtherwise) {
  auto checkpoint = load_checkpoint(place("run/last.h5"));
  EXPECT_EQ(checkpoint.metadata.at("resize_mode"), "bilinear_corners");
  checkpoint.metadata["resize_mode"] = "bicubic";
  const auto file = place("bicubic.h5").string();
  save_checkpoint(file, checkpoint);
  const Words larger{"--checkpoint", file, "--img-size", "12"};
  const auto stored = finetune("stored", larger);
  ASSERT_TRUE(succeeds(stored));
  EXPECT_THAT(stored.error, HasSubstr("6x6 patches, bicubic\n"));
  EXPECT_EQ(load_metadata(place("stored/last.h5")).at("resize_mode"), "bicubic");
  EXPECT_THAT(read_text_file(place("stored/config.toml")), HasSubstr("resize-mode = \"bicubic\""));
  const auto given = finetune("given", larger + Words{"--resize-mode", "bilinear"});
  ASSERT_TRUE(succeeds(given));
  EXPECT_THAT(given.error, HasSubstr("6x6 patches, bilinear\n"));
  EXPECT_EQ(load_metadata(place("given/last.h5")).at("resize_mode"), "bilinear");
}

TEST_F(Finetune, MistakesAreNamedAndLeaveNoRun) {
  EXPECT_TRUE(ends_with_one_error(finetune("a", {"--trainable", "atention"}), 2,
                                  {"--trainable", "'atention'", "non_moe"}));
  EXPECT_TRUE(ends_with_one_error(finetune("a", {"--freeze", "all"}), 2, {"--freeze"}));
  EXPECT_TRUE(ends_with_one_error(finetune("a", {"--random-weights", "--optimizer-state", "keep"}),
                                  2, {"--optimizer-state"}));
  EXPECT_TRUE(ends_with_one_error(finetune("a", {"--opt", "sgd", "--optimizer-state", "keep"}), 1,
                                  {"sgd"}));
  EXPECT_TRUE(ends_with_one_error(finetune("a", {"--batch-size", "5000"}), 1, {"batch-size"}));
  EXPECT_TRUE(
      ends_with_one_error(finetune("a", {"--input-size", "1", "12", "12"}), 2, {"--input-size"}));
  write_tiny_checkpoint(place("weights.h5"));
  EXPECT_TRUE(ends_with_one_error(
      finetune("a", {"--checkpoint", place("weights.h5").string(), "--optimizer-state", "keep"}), 1,
      {"weights.h5", "none"}));
  EXPECT_FALSE(std::filesystem::exists(place("a")));
}

}  // namespace
}  // namespace softmoe::test
