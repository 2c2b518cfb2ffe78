/// From a dense model to one with MoE layers and back, by the program as a user runs it.

#include <gmock/gmock.h>

#include "checkpoints/checkpoint.h"
#include "cli/tiny.h"
#include "core/split_text.h"
#include "io/atomic_file.h"
#include "io/npz.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"

namespace softmoe::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const Words kDigits{"--dataset", "digits", "--threads", "1"};

/// A dense model that was trained for a moment, for all tests of a process.
class Upcycling : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<TemporaryFolder>();
    training_ = run_program(tiny_training(folder_->path()) +
                            Words{"--moe-blocks", "none", "--experiment", "dense"});
  }
  static void TearDownTestSuite() { folder_.reset(); }
  void SetUp() override { ASSERT_TRUE(succeeds(training_)); }

  static std::string path(const std::string& name) { return (*folder_ / name).string(); }
  static std::string dense() { return path("dense/last.h5"); }

  static ProgramRun upcycle(const std::string& output, const Words& more) {
    return run_program(
        Words{"upcycle", "--checkpoint", dense(), "--output", path(output), "--threads", "1"} +
        more);
  }
  static ProgramRun prune(const std::string& checkpoint, const Words& more) {
    return run_program(Words{"prune", "--checkpoint", checkpoint} + more);
  }
  static torch::Tensor logits(const std::string& checkpoint) {
    const auto digits = *folder_ / "digits";
    if (!std::filesystem::exists(digits)) {
      write_digit_files(digits, 9);
    }
    const auto run =
        run_program({"predict", "--checkpoint", checkpoint, digits.string(), "--output",
                     path("logits.npz"), "--what", "logits", "--threads", "1"});
    EXPECT_TRUE(succeeds(run));
    return read_npz(path("logits.npz")).at("logits");  // [images, classes]
  }
  static double top1(const std::string& checkpoint) {
    const auto run = run_program(
        Words{"eval", "--checkpoint", checkpoint, "--json", path("eval.json")} + kDigits);
    EXPECT_TRUE(succeeds(run));
    return read_json(path("eval.json")).at("top1");
  }

  static std::unique_ptr<TemporaryFolder> folder_;
  static ProgramRun training_;
};

std::unique_ptr<TemporaryFolder> Upcycling::folder_;
ProgramRun Upcycling::training_;

TEST_F(Upcycling, StartsWhereTheDenseModelIs) {
  const auto run = upcycle("hash.h5", {"--moe-blocks", "all", "--router", "hash_random",
                                       "--experts", "3", "--json", path("upcycle.json")});
  EXPECT_TRUE(succeeds(run));
  EXPECT_THAT(run.output, HasSubstr("starts with the outputs of the dense model"));
  const auto result = read_json(path("upcycle.json"));
  EXPECT_TRUE(result.at("keeps_dense_outputs").get<bool>());
  EXPECT_GT(result.at("parameters").get<int64_t>(), result.at("dense_parameters").get<int64_t>());
  EXPECT_TRUE(all_close(logits(path("hash.h5")), logits(dense()), {.absolute = 1e-4}));
  EXPECT_EQ(load_metadata(path("hash.h5")).at("upcycled").at("from"), dense());
}

TEST_F(Upcycling, FilesAreGivenByPlaceOrByFlag) {
  EXPECT_TRUE(succeeds(upcycle("flags.h5", {"--experts", "3"})));
  EXPECT_TRUE(succeeds(
      run_program({"upcycle", dense(), path("places.h5"), "--experts", "3", "--threads", "1"})));
  EXPECT_TRUE(read_text_file(path("places.h5")) == read_text_file(path("flags.h5")));
  EXPECT_TRUE(fails_with_one_line(upcycle("flags.h5", {"--experts", "3", path("places.h5")}), 2,
                                  {path("places.h5"), "--checkpoint gives CHECKPOINT already"}));
  EXPECT_TRUE(fails_with_one_line(run_program({"upcycle", dense(), "--experts", "3"}), 2,
                                  {"OUTPUT (--output) is missing"}));
}

TEST_F(Upcycling, SaysWhereOutputsAreNew) {
  const auto soft = upcycle("soft.h5", {"--moe-blocks", "1", "--experts", "4"});
  EXPECT_TRUE(succeeds(soft));
  EXPECT_THAT(soft.output, HasSubstr("outputs of its own"));
  const auto choice = upcycle("choice.h5", {"--moe-blocks", "1", "--router", "tokens_choice",
                                            "--experts", "4", "--top-k", "2"});
  EXPECT_TRUE(succeeds(choice));
  EXPECT_THAT(choice.output, HasSubstr("--renormalize-gates"));
  EXPECT_GT((logits(path("soft.h5")) - logits(dense())).abs().max().item<float>(), 1e-3);
}

TEST_F(Upcycling, CarriesTheOptimizerAndResetsTheHeadWhereAsked) {
  EXPECT_TRUE(succeeds(upcycle("state.h5", {"--experts", "4", "--optimizer-state", "keep"})));
  EXPECT_FALSE(load_checkpoint(path("state.h5")).optimizer.empty());
  EXPECT_TRUE(succeeds(upcycle("headless.h5", {"--experts", "4", "--no-keep-head"})));
  const auto fresh = load_checkpoint(path("headless.h5"));
  EXPECT_TRUE(fresh.optimizer.empty());
  EXPECT_EQ(fresh.model.at("head.weight").abs().max().item<float>(), 0.0F);
}

TEST_F(Upcycling, TrainingCanStartFromADenseCheckpoint) {
  const Words training{"train",
                       "--upcycle",
                       dense(),
                       "--experts",
                       "4",
                       "--moe-blocks",
                       "last_1",
                       "--lr",
                       "1e-6",
                       "--batch-size",
                       "64",
                       "--epochs",
                       "1",
                       "--amp-dtype",
                       "float32",
                       "--router",
                       "smear",
                       "--output",
                       folder_->path().string(),
                       "--experiment",
                       "upcycled"};
  const auto run = run_program(training + kDigits);
  EXPECT_TRUE(succeeds(run));
  // Merged equal experts are the MLP, and next to nothing was learned.
  EXPECT_NEAR(Json::parse(run.output).at("eval_top1").get<double>(), top1(dense()), 0.02);
  const auto metadata = load_metadata(path("upcycled/last.h5"));
  EXPECT_EQ(metadata.at("model").at("dim"), 16);
  EXPECT_EQ(metadata.at("model").at("router"), "smear");
  const auto again =
      run_program({"train", "--config", path("upcycled/config.toml"), "--threads", "1"});
  EXPECT_TRUE(succeeds(again));
  EXPECT_EQ(Json::parse(again.output).at("eval_top1"), Json::parse(run.output).at("eval_top1"));
}

TEST_F(Upcycling, HappensInTheMiddleOfARun) {
  const Words training =
      tiny_training(folder_->path()) +
      Words{"--moe-blocks",       "last_1", "--experts",      "6",
            "--slots-per-expert", "1",      "--upcycle-at",   "0.5",
            "--experiment",       "middle", "--upcycle-init", "importance",
            "--expert-dim",       "8",      "--router-init",  "spheromoe",
            "--router-noise",     "0",      "--json",         path("middle.json")};
  const auto run = run_program(training);
  EXPECT_TRUE(succeeds(run));
  EXPECT_THAT(run.error, HasSubstr("upcycled after update"));
  const auto result = read_json(path("middle.json"));
  const auto metadata = load_metadata(path("middle/last.h5"));
  EXPECT_EQ(metadata.at("progress").at("upcycled_step"), result.at("result").at("upcycled_step"));
  EXPECT_EQ(result.at("parameters"), result.at("result").at("parameters"));
  const auto& model = metadata.at("model");
  EXPECT_EQ(model.at("combine"), "entmax15");
  EXPECT_EQ(model.at("router-scale"), "2");
  EXPECT_EQ(model.at("router-noise"), 0.0);  // what is given wins over the preset
  EXPECT_EQ(load_metadata(path("middle/dense.h5")).at("model").at("moe-blocks"), "none");
  EXPECT_GT(top1(path("middle/last.h5")), 0.2);
  // A run that has ended stays as it is, and resumes with no other moment.
  EXPECT_TRUE(succeeds(run_program(training)));
  EXPECT_TRUE(ends_with_one_error(run_program(training + Words{"--upcycle-at", "0.4"}), 2,
                                  {"--upcycle-at", "resumes it"}));
}

TEST_F(Upcycling, InTheMiddleIsRefusedWhereItCannotHappen) {
  const auto refused = [&](const Words& more, const Words& parts) {
    return fails_with_one_line(
        run_program(tiny_training(folder_->path()) + Words{"--experiment", "refused"} + more), 2,
        parts);
  };
  EXPECT_TRUE(refused({"--upcycle-at", "3"}, {"upcycle-at", "0.3, 500steps"}));
  EXPECT_TRUE(refused({"--upcycle-at", "0.5", "--moe-blocks", "none"}, {"needs moe-blocks"}));
  EXPECT_TRUE(refused({"--upcycle-at", "99epochs"}, {"before the end of the run"}));
  EXPECT_TRUE(refused({"--upcycle-at", "0.5", "--expert-dim", "9"}, {"expert-dim", "mlp-dim"}));
  EXPECT_TRUE(refused({"--upcycle-at", "0.5", "--freeze", "router"}, {"--freeze"}));
  EXPECT_TRUE(
      refused({"--router", "uniform", "--combine", "entmax15"}, {"combine", "uniform_soft"}));
}

TEST_F(Upcycling, WithoutMoeBlocksTheDenseModelTrainsOn) {
  const auto run =
      run_program(Words{"train", "--upcycle", dense(), "--moe-blocks", "none", "--lr", "0",
                        "--max-steps", "1", "--batch-size", "64", "--amp-dtype", "float32",
                        "--output", folder_->path().string(), "--experiment", "on"} +
                  kDigits);
  EXPECT_TRUE(succeeds(run));
  EXPECT_EQ(Json::parse(run.output).at("eval_top1").get<double>(), top1(dense()));
}

TEST_F(Upcycling, PruningShowsWhatAccuracyStays) {
  EXPECT_TRUE(succeeds(
      upcycle("wide.h5", {"--moe-blocks", "last_1", "--router", "hash_modulo", "--experts", "8"})));
  const auto run = prune(path("wide.h5"),
                         Words{"--experts", "4", "2", "1", "--json", path("prune.json")} + kDigits);
  EXPECT_TRUE(succeeds(run));
  EXPECT_EQ(split_text(run.output, '\n').size(), 5U);  // the heading, the original and three models
  const auto result = read_json(path("prune.json"));
  const double before = result.at("before").at("top1");
  EXPECT_EQ(before, top1(path("wide.h5")));
  ASSERT_EQ(result.at("results").size(), 3U);
  for (const auto& record : result.at("results")) {
    // All experts are copies of one MLP: whichever stay, nothing is lost.
    EXPECT_EQ(record.at("top1").get<double>(), before);
    EXPECT_LT(record.at("parameters").get<int64_t>(),
              result.at("before").at("parameters").get<int64_t>());
    EXPECT_EQ(record.at("kept_experts").at("1").size(), record.at("experts").get<size_t>());
  }
  EXPECT_EQ(result.at("importance").at("1").size(), 8U);
}

TEST_F(Upcycling, PrunedModelsAreModels) {
  EXPECT_TRUE(succeeds(
      upcycle("soft8.h5", {"--moe-blocks", "last_1", "--experts", "8", "--expert-noise", "0.1"})));
  const auto run = prune(path("soft8.h5"), Words{"--experts", "4", "--output", path("soft4.h5"),
                                                 "--json", path("prune4.json")} +
                                               kDigits);
  EXPECT_TRUE(succeeds(run));
  const auto record = read_json(path("prune4.json")).at("results").at(0);
  EXPECT_EQ(record.at("top1").get<double>(), top1(path("soft4.h5")));
  const auto metadata = load_metadata(path("soft4.h5"));
  EXPECT_EQ(metadata.at("model").at("experts"), 4);
  EXPECT_EQ(metadata.at("pruned").at("experts"), record.at("kept_experts"));
  EXPECT_EQ(load_checkpoint(path("soft4.h5")).model.at("blocks.1.moe.router.phi").size(1), 4);
}

TEST_F(Upcycling, EqualExpertsBecomeTheDenseModelAgain) {
  EXPECT_TRUE(succeeds(upcycle("three.h5", {"--experts", "3"})));
  EXPECT_TRUE(succeeds(prune(path("three.h5"), {"--to", "dense", "--output", path("back.h5")})));
  EXPECT_TRUE(all_close(logits(path("back.h5")), logits(dense()), {.absolute = 1e-5}));
  const auto one = prune(
      path("three.h5"),
      Words{"--to", "dense", "--how", "most_important", "--output", path("one.h5")} + kDigits);
  EXPECT_TRUE(succeeds(one));
  EXPECT_TRUE(same_bits(logits(path("one.h5")), logits(dense())));
  EXPECT_EQ(load_metadata(path("one.h5")).at("model").at("moe-blocks"), "none");
}

TEST_F(Upcycling, EachMistakeGivesOneLine) {
  const auto moe = path("moe.h5");
  write_tiny_checkpoint(moe);
  const auto fails = [](const ProgramRun& run, int code, const Words& parts) {
    EXPECT_TRUE(ends_with_one_error(run, code, parts));
  };
  const auto out = path("out.h5");
  fails(run_program({"upcycle", "--checkpoint", moe, "--output", out, "--experts", "2"}), 1,
        {moe, "a dense model", "MoE layers in blocks"});
  fails(upcycle("out.h5", {}), 2, {"--experts is missing"});
  fails(upcycle("out.h5", {"--experts", "2", "--moe-blocks", "1,7"}), 2, {"moe-blocks", "1,7"});
  fails(upcycle("out.h5", {"--experts", "2", "--moe-blocks", "none"}), 2, {"--moe-blocks", "none"});

  fails(prune(dense(), Words{"--experts", "2"} + kDigits), 1, {dense(), "dense blocks only"});
  fails(prune(moe, Words{"--experts", "9"} + kDigits), 1, {moe, "experts", "found 9"});
  fails(prune(moe, {"--experts", "2", "--output", out}), 2, {"--dataset is missing"});
  fails(prune(moe, {"--to", "dense", "--experts", "2", "--output", out}), 2, {"--experts"});
  fails(prune(moe, Words{"--experts", "2", "1", "--output", out} + kDigits), 2, {"--experts"});
  EXPECT_FALSE(std::filesystem::exists(out));

  const Words train =
      Words{"train",       "--output", folder_->path().string(), "--experiment", "bad",
            "--max-steps", "1"} +
      kDigits;
  fails(run_program(train + Words{"--upcycle", moe, "--experts", "2"}), 1, {moe, "dense"});
  fails(run_program(train + Words{"--upcycle", dense()}), 2, {"experts"});
  fails(run_program(train + Words{"--upcycle", dense(), "--experts", "2", "--model", "vit_b16"}), 2,
        {"--model", "vit_ti16", "vit_b16"});
}

}  // namespace
}  // namespace softmoe::test
