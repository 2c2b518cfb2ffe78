/// Distilling by the program.

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

/// Two teachers, one trained and one not, for all tests of a process.
class Distill : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<TemporaryFolder>();
    training_ = run_program(tiny_training(folder_->path()) + Words{"--epochs", "6"});
    write_tiny_checkpoint(place("other.h5"));
  }
  static void TearDownTestSuite() { folder_.reset(); }

  void SetUp() override { ASSERT_TRUE(succeeds(training_)); }

  static std::filesystem::path place(const std::string& name) { return *folder_ / name; }
  static std::string trained() { return place("run/last.h5").string(); }
  /// A dense student of half the width learns from the teacher, into the folder `name`.
  static Words distilling(const std::string& name, const Words& more = {}) {
    Words words =
        tiny_training(folder_->path()) +
        Words{"--experiment", name, "--moe-blocks", "none",    "--dim",  "12",
              "--mlp-dim",    "20", "--teacher",    trained(), "--json", place(name + ".json"),
              "--max-steps",  "12"};
    words.front() = "distill";
    return words + more;
  }
  static ProgramRun distill(const std::string& name, const Words& more = {}) {
    return run_program(distilling(name, more));
  }

  static std::unique_ptr<TemporaryFolder> folder_;
  static ProgramRun training_;
};

std::unique_ptr<TemporaryFolder> Distill::folder_;
ProgramRun Distill::training_;

TEST_F(Distill, AStudentLearnsWithoutLabelsWhatItsTeacherKnows) {
  const auto run = distill("student", {"--distill-alpha", "1", "--distill-temperature", "2",
                                       "--epochs", "12", "--max-steps", "0"});
  ASSERT_TRUE(succeeds(run));
  EXPECT_THAT(run.error, HasSubstr("teacher " + trained() + ": vit_ti16"));
  EXPECT_THAT(run.error, HasSubstr("images as the student's"));
  EXPECT_GT(read_json(place("student.json")).at("result").at("best_top1").get<double>(), 0.5);
}

TEST_F(Distill, RecordsItsTeachersAndTheirDigestsAndRunsFromItsOwnConfig) {
  ASSERT_TRUE(succeeds(distill("two", {"--teacher", trained(), place("other.h5").string()})));
  const auto config = load_metadata(place("two/last.h5")).at("config");
  EXPECT_EQ(config.at("teacher"), (Json{trained(), place("other.h5").string()}));
  ASSERT_EQ(config.at("teacher-digest").size(), 2U);
  EXPECT_EQ(config.at("teacher-digest")[0].get<std::string>().size(), 16U);
  EXPECT_EQ(config.at("distill-alpha"), 0.5);
  ASSERT_TRUE(succeeds(run_program(
      {"distill", "--config", place("two/config.toml").string(), "--experiment", "again"})));
  expect_same_run(place("again"), place("two"));
  EXPECT_TRUE(ends_with_one_error(
      run_program({"distill", "--config", place("two/config.toml").string(), "--experiment",
                   "swapped", "--teacher", place("other.h5").string(), trained()}),
      1, {"--teacher " + place("other.h5").string(), "digest"}));
}

TEST_F(Distill, ResumesExactlyWithEverythingThatIsRandom) {
  const Words random{
      "--drop",         "0.1", "--train-crop-mode",        "padded", "--padding",   "1",
      "--mixup",        "0.4", "--distill-alpha-schedule", "cosine", "--workers",   "2",
      "--log-interval", "1",   "--distill-labels",         "hard",   "--max-steps", "16"};
  ASSERT_TRUE(succeeds(distill("whole", random)));
  const auto stopped =
      run_program(distilling("parts", random), {.interrupt_when = [](const std::string& text) {
                    return text.find("Train: ") != std::string::npos;
                  }});
  ASSERT_TRUE(ends_with_one_error(stopped, 130, {"interrupted after update"}));
  std::filesystem::copy_file(trained(), place("moved.h5"));
  // The teacher may have moved, but not changed.
  EXPECT_TRUE(
      ends_with_one_error(distill("parts", random + Words{"--teacher", place("other.h5").string()}),
                          2, {"--teacher-digest"}));
  ASSERT_TRUE(succeeds(distill("parts", random + Words{"--teacher", place("moved.h5").string()})));
  expect_same_run(place("parts"), place("whole"));
}

TEST_F(Distill, ADistillationTokenHasAHeadOfItsOwn) {
  ASSERT_TRUE(succeeds(distill("token", {"--class-token", "--dist-token", "--global-pool", "token",
                                         "--distill-labels", "hard"})));
  const auto model = load_checkpoint(place("token/last.h5")).model;
  EXPECT_EQ(model.at("pos_embed").size(1), 2 + 16);
  EXPECT_FALSE(torch::equal(model.at("head.weight"), model.at("head_dist.weight")));
  EXPECT_TRUE(succeeds(run_program(
      {"eval", place("token/last.h5").string(), "--dataset", "digits", "--threads", "1"})));
}

TEST_F(Distill, TeachersOfOtherImagesAndRoutersTeach) {
  const Words two_updates{"--max-steps", "2"};
  const auto run =
      distill("large", two_updates + Words{"--img-size", "16", "--mean", "0.3", "--std", "0.2"});
  ASSERT_TRUE(succeeds(run));
  EXPECT_THAT(run.error, HasSubstr("normalised again, resized to 8x8 px"));
  for (const auto& [router, dtype] :
       {std::pair{"tokens_choice", "bfloat16"}, {"experts_choice", "int8"}}) {
    const auto file = place(std::string(router) + ".h5");
    write_tiny_checkpoint(file, {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}, router);
    EXPECT_TRUE(succeeds(distill(
        router, two_updates + Words{"--teacher", file.string(), "--teacher-dtype", dtype})));
  }
}

TEST_F(Distill, StoredOutputsGiveTheStudentThatAComputingTeacherGives) {
  const auto outputs = place("outputs").string();
  const Words mixed{"--mixup", "0.4", "--cutmix", "1"};
  const Words stored = mixed + Words{"--teacher-outputs", outputs};
  ASSERT_TRUE(succeeds(distill("computed", mixed)));
  const auto first = distill("stored", stored);
  ASSERT_TRUE(succeeds(first));
  EXPECT_THAT(first.error,
              HasSubstr("teacher outputs of 12 batches in " + outputs + ", 0 of them"));
  expect_same_run(place("stored"), place("computed"));
  const auto again = distill("again2", stored + Words{"--depth", "1"});
  ASSERT_TRUE(succeeds(again));
  EXPECT_THAT(again.error, HasSubstr("12 of them from before"));
  EXPECT_TRUE(ends_with_one_error(distill("seed", stored + Words{"--seed", "1"}), 1,
                                  {outputs, "seed of the stored teacher outputs", "1", "0"}));
  EXPECT_TRUE(
      ends_with_one_error(distill("other", stored + Words{"--teacher", place("other.h5").string()}),
                          1, {outputs, "teachers of the stored teacher outputs"}));
}

TEST_F(Distill, AStudentStartsFromItsTeacherAndLearnsItsTokens) {
  const auto run = distill("tokens", {"--dim", "16", "--mlp-dim", "24", "--teacher-init", "average",
                                      "--distill-features", "0", "1", "--lr", "0"});
  ASSERT_TRUE(succeeds(run));
  EXPECT_THAT(run.error, HasSubstr("weights start from teacher " + trained() + " (100.00 %)"));
  const auto teacher = load_checkpoint(trained()).model;
  const auto student = load_checkpoint(place("tokens/last.h5"), {.helpers = true});
  EXPECT_TRUE(same_bits(student.model.at("blocks.0.mlp.fc1.weight"),
                        teacher.at("blocks.0.mlp.fc1.weight")));
  EXPECT_TRUE(all_close(student.model.at("blocks.1.mlp.fc1.weight"),
                        teacher.at("blocks.1.moe.experts.fc1_weight").mean(0)));
  EXPECT_EQ(student.helpers.size(), 4U);
  const auto losses =
      Json::parse(split_text(read_text_file(place("tokens/metrics.jsonl")), '\n').front())
          .at("losses");
  EXPECT_GT(losses.at("features").get<double>(), 0.0);
  EXPECT_GE(losses.at("distillation").get<double>(), 0.0);
  EXPECT_EQ(losses.size(), 3U);
  EXPECT_TRUE(ends_with_one_error(distill("none", {"--distill-features", "2"}), 2,
                                  {"--distill-features", "0 to 1", "2"}));
  EXPECT_TRUE(
      ends_with_one_error(distill("none", {"--teacher-init", "average"}), 1,
                          {"--teacher " + trained() + ": dim", "12 as the student's", "16"}));
}

TEST_F(Distill, TeachersThatDoNotFitAreRefusedBeforeTheRunBegins) {
  const auto refused = [](const ProgramRun& run, int code, const Words& parts) {
    return ends_with_one_error(run, code, parts);
  };
  Words nobody = tiny_training(folder_->path());
  nobody.front() = "distill";
  EXPECT_TRUE(
      refused(run_program(nobody + Words{"--experiment", "none"}), 2, {"--teacher is missing"}));
  EXPECT_TRUE(refused(distill("none", {"--teacher", place("no.h5").string()}), 1,
                      {place("no.h5").string()}));
  const auto few = place("few.h5");
  write_tiny_checkpoint(few, {"0", "1", "2", "3", "4", "5", "6", "7", "8", "x"});
  EXPECT_TRUE(refused(distill("none", {"--teacher", few.string()}), 1,
                      {"--teacher " + few.string(), "class 9", "'x' as in the checkpoint", "'9'"}));
  EXPECT_TRUE(refused(distill("none", {"--num-classes", "11"}), 1,
                      {"--teacher " + trained(), "11 classes like the student's", "10"}));
  const Words growing{"--image-size-schedule", "4@0,8@0.5"};
  for (const Words& fixed :
       {Words{"--distill-features", "0"}, Words{"--teacher-outputs", place("outputs").string()}}) {
    EXPECT_TRUE(refused(distill("none", growing + fixed), 2,
                        {fixed.front() + ": expected images of one size", growing.back()}));
  }
  EXPECT_FALSE(std::filesystem::exists(place("none")));
}

TEST_F(Distill, ATeacherSeesImagesThatGrowAtItsOwnSize) {
  EXPECT_TRUE(succeeds(distill("growing", {"--image-size-schedule", "4@0,8@0.5"})));
}

}  // namespace
}  // namespace softmoe::test
