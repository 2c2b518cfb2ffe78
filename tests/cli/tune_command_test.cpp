/// Instruction tuning, and asking the model, by the program.

#include <gmock/gmock.h>

#include <fstream>

#include "checkpoints/checkpoint.h"
#include "cli/tiny.h"
#include "datasets/image_file.h"
#include "datasets/tasks/task_file.h"
#include "datasets/tasks/task_set.h"
#include "io/atomic_file.h"
#include "support/temporary_folder.h"

namespace softmoe::test {
namespace {

using testing::HasSubstr;

constexpr const char* kTasks = R"(
[colour]
kind = "classification"
family = "naming"
source = "shapes"
attribute = "colour"

[is_colour]
kind = "yes_no"
family = "checking"
source = "shapes"
attribute = "colour"

[which_colour]
kind = "which_of"
family = "choosing"
source = "shapes"
attribute = "colour"
)";

/// A file of tasks, and runs on it.
class Tune : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<TemporaryFolder>();
    write_text_file(*folder_ / "tasks.toml", kTasks);
    training_ = run_program(training("run", {"--json", place("run.json"), "--epochs", "10"}));
  }
  static void TearDownTestSuite() { folder_.reset(); }

  static std::string place(const std::string& name) { return (*folder_ / name).string(); }
  static Words tiny_towers() {
    return {"--model",
            "softmoe_ti16_8e",
            "--img-size",
            "16",
            "--patch-size",
            "8",
            "--dim",
            "24",
            "--depth",
            "2",
            "--heads",
            "2",
            "--mlp-dim",
            "32",
            "--moe-blocks",
            "1",
            "--experts",
            "2",
            "--text-dim",
            "24",
            "--text-depth",
            "1",
            "--text-heads",
            "2",
            "--text-mlp-dim",
            "32",
            "--text-embed-dim",
            "16"};
  }
  static Words run_flags(const std::string& name) {
    return {"--batch-size",   "50",  "--lr",        "1e-2",
            "--task-epoch",   "500", "--task-val",  "60",
            "--log-interval", "1",   "--amp-dtype", "float32",
            "--threads",      "1",   "--output",    folder_->path().string(),
            "--experiment",   name};
  }
  static Words training(const std::string& name, const Words& more = {}) {
    return Words{"tune", "--tasks", place("tasks.toml"), "--held-out", "choosing"} +
           run_flags(name) + tiny_towers() + more;
  }
  static std::string best() { return place("run/best.h5"); }

  static std::unique_ptr<TemporaryFolder> folder_;
  static ProgramRun training_;
};

std::unique_ptr<TemporaryFolder> Tune::folder_;
ProgramRun Tune::training_;

TEST_F(Tune, LearnsTasksBetterThanChanceAndReportsThoseHeldOut) {
  ASSERT_TRUE(succeeds(training_));
  const auto tasks = read_json(place("run.json")).at("result").at("tasks");
  EXPECT_EQ(tasks.at("trained").at("tasks"), 2);
  EXPECT_EQ(tasks.at("held_out").at("tasks"), 1);
  EXPECT_EQ(tasks.at("families").size(), 3U);
  const auto& colour = tasks.at("tasks").at(0);
  EXPECT_EQ(colour.at("name"), "colour");
  EXPECT_NEAR(colour.at("chance").get<double>(), 1.0 / 7, 1e-9);
  EXPECT_GT(colour.at("accuracy").get<double>(), 0.4);
}

TEST_F(Tune, WarmsUpUnlessFlagsSayOtherwise) {
  ASSERT_TRUE(succeeds(training_));
  EXPECT_THAT(read_text_file(place("run/config.toml")), HasSubstr("warmup-epochs = 0.5"));
  ASSERT_TRUE(succeeds(run_program(training("cold", {"--epochs", "1", "--warmup-epochs", "0"}))));
  EXPECT_THAT(read_text_file(place("cold/config.toml")), HasSubstr("warmup-epochs = 0.0"));
}

TEST_F(Tune, EvaluatesWhatTheCheckpointKnowsAndOtherTasks) {
  ASSERT_TRUE(succeeds(training_));
  const Words eval{"eval", best(), "--task-val", "60", "--threads", "1", "--json"};
  const auto own = run_program(eval + Words{place("own.json")});
  ASSERT_TRUE(succeeds(own));
  EXPECT_THAT(own.output, HasSubstr("which_colour (held out)"));
  const auto document = read_json(place("own.json"));
  EXPECT_GT(document.at("tasks").at(0).at("accuracy").get<double>(), 0.4);
  EXPECT_TRUE(document.at("tasks").at(0).at("confusion").contains("red"));
  ASSERT_TRUE(succeeds(run_program(eval + Words{place("digits.json"), "--tasks", "digits"})));
  const auto others = read_json(place("digits.json"));
  EXPECT_EQ(others.at("tasks").size(), 9U);
  EXPECT_TRUE(others.at("tasks").at(0).at("held_out").get<bool>());
}

TEST_F(Tune, AnswersQuestionsAboutAPicture) {
  ASSERT_TRUE(succeeds(training_));
  cv::Mat image(16, 16, CV_8UC3, cv::Scalar(215, 40, 40));
  const auto png = encode_png(image);
  write_text_file(place("red.png"), {png.begin(), png.end()});
  const Words ask{"predict", best(), place("red.png"), "--ask", "What is the colour?"};
  const auto answer =
      run_program(ask + Words{"--answers", "red, blue", "--json", place("answer.json")});
  ASSERT_TRUE(succeeds(answer));
  EXPECT_THAT(answer.output, HasSubstr("red"));
  const auto answers = read_json(place("answer.json")).at("images").at(0).at("answers");
  ASSERT_EQ(answers.size(), 2U);
  EXPECT_NEAR(
      answers.at(0).at("probability").get<double>() + answers.at(1).at("probability").get<double>(),
      1.0, 1e-5);
  const auto known = run_program(ask + Words{"--topk", "3", "--format", "csv"});
  ASSERT_TRUE(succeeds(known));
  EXPECT_THAT(known.output, HasSubstr("image,rank,answer,probability"));
  EXPECT_TRUE(fails_with_one_line(run_program(ask + Words{"--answers", "red"}), 2,
                                  {"--answers", "two answers or more"}));
  EXPECT_TRUE(fails_with_one_line(run_program({"predict", best(), place("red.png")}), 1,
                                  {"best.h5", "--ask"}));
}

TEST_F(Tune, GoesOnWhereItWasInterrupted) {
  const Words more{"--epochs", "2", "--drop-path", "0.1", "--workers", "2"};
  ASSERT_TRUE(succeeds(run_program(training("whole", more))));
  const auto stopped =
      run_program(training("pieces", more), {.interrupt_when = [](const std::string& text) {
                    return text.find("Train: 0 [   7") != std::string::npos;
                  }});
  ASSERT_EQ(stopped.exit_code, 130);
  ASSERT_TRUE(succeeds(run_program(training("pieces", more))));
  expect_same_run(place("pieces"), place("whole"));
  write_text_file(place("changed.toml"), std::string(kTasks) +
                                             "\n[more]\nkind = \"counting\"\n"
                                             "source = \"shapes\"\n");
  auto other = training("pieces", more);
  other[2] = place("changed.toml");
  EXPECT_TRUE(ends_with_one_error(run_program(other), 2, {"--tasks"}));
}

TEST_F(Tune, StartsFromATunedModelForOneTask) {
  ASSERT_TRUE(succeeds(training_));
  write_text_file(place("one.toml"),
                  "[side]\nkind = \"which_side\"\nsource = \"shapes\"\nattribute = \"colour\"\n");
  const auto run =
      run_program(Words{"tune", "--tasks", place("one.toml"), "--init", best()} + run_flags("one") +
                  Words{"--epochs", "1", "--json", place("one.json")});
  ASSERT_TRUE(succeeds(run));
  EXPECT_EQ(read_json(place("one.json")).at("model"), "softmoe_ti16_8e");
  const auto before = load_metadata(best()).at("instruction");
  EXPECT_EQ(load_metadata(place("one/last.h5")).at("instruction"), before);
}

TEST_F(Tune, SaysInOneLineWhatIsWrong) {
  const auto fails = [](const Words& words, int exit_code, const Words& parts) {
    EXPECT_TRUE(ends_with_one_error(run_program(words), exit_code, parts));
  };
  const auto tune = [](const std::string& tasks, const Words& more = {}) {
    return Words{"tune", "--tasks", place(tasks)} + run_flags("bad") + tiny_towers() + more;
  };
  fails({"tune"}, 2, {"--tasks is missing"});
  fails(tune("tasks.toml", {"--held-out", "nothing"}), 2, {"--held-out", "'nothing'"});
  fails(tune("tasks.toml", {"--held-out", "naming", "checking", "choosing"}), 2, {"--held-out"});
  fails(tune("tasks.toml", {"--smoothing", "0.1"}), 2, {"--smoothing"});
  fails(tune("tasks.toml", {"--router", "reinforced"}), 2, {"router"});
  fails(tune("tasks.toml", {"--tokenizer", "bytes", "--text-context", "4"}), 1,
        {"task colour", "answer '", "--text-context"});
  write_text_file(place("bad.toml"), "[a]\nkind = \"counting\"\nsource = \"shapes\"\nasks = 1\n");
  fails(tune("bad.toml"), 1, {"bad.toml: line 4: a", "'asks'"});
  fails(tune("none.toml"), 1, {"none.toml", "No such file"});
  write_text_file(
      place("empty.toml"),
      "[a]\nkind = \"yes_no\"\nsource = \"folder\"\ndata-dir = \"" + place("nowhere") + "\"\n");
  fails(tune("empty.toml"), 1, {"task a", "nowhere"});
  const auto missing = run_program({"eval", place("tasks.toml"), "--tasks", "shapes"});
  EXPECT_TRUE(ends_with_one_error(missing, 1, {"tasks.toml"}));
}

}  // namespace
}  // namespace softmoe::test
