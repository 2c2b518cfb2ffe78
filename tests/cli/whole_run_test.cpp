/// A small model from its first update to its predictions, by the program as a user runs it.

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <numeric>

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

/// One trained model for all tests of a process.
class WholeRun : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<TemporaryFolder>();
    training_ = run_program(tiny_training(folder_->path()) + Words{"--json", path("train.json")});
  }
  static void TearDownTestSuite() { folder_.reset(); }

  void SetUp() override { ASSERT_TRUE(succeeds(training_)); }

  static std::string path(const std::string& name) { return (*folder_ / name).string(); }
  static std::string checkpoint() { return path("run/last.h5"); }
  static Words evaluation() {
    return {"eval", "--checkpoint", checkpoint(), "--dataset", "digits", "--threads", "1"};
  }

  static std::unique_ptr<TemporaryFolder> folder_;
  static ProgramRun training_;
};

std::unique_ptr<TemporaryFolder> WholeRun::folder_;
ProgramRun WholeRun::training_;

TEST_F(WholeRun, TrainingLearnsAndLeavesARunFolder) {
  for (const auto* name : {"config.toml", "summary.csv", "metrics.jsonl", "last.h5", "best.h5"}) {
    EXPECT_TRUE(std::filesystem::exists(*folder_ / "run" / name)) << name;
  }
  const auto summary = split_text(read_text_file(path("run/summary.csv")), '\n');
  ASSERT_EQ(summary.size(), 3U);  // the heading and two epochs
  const auto metrics = split_text(read_text_file(path("run/metrics.jsonl")), '\n');
  ASSERT_GT(metrics.size(), 5U);
  EXPECT_LT(Json::parse(metrics.back()).at("train_loss").get<double>(),
            0.9 * Json::parse(metrics.front()).at("train_loss").get<double>());
  EXPECT_THAT(training_.error, HasSubstr("Train: 0 ["));
  EXPECT_THAT(training_.error, HasSubstr("Acc@1"));
  const auto result = Json::parse(training_.output);
  EXPECT_EQ(result.at("run_folder"), path("run"));
  EXPECT_GT(result.at("eval_top1").get<double>(), 0.2);
  EXPECT_EQ(read_json(path("train.json")).at("command"), "train");
}

TEST_F(WholeRun, ARunThatIsDoneSaysSoAgain) {
  const auto before = read_text_file(path("run/summary.csv"));
  const auto again = run_program(tiny_training(folder_->path()));
  EXPECT_TRUE(succeeds(again));
  EXPECT_EQ(Json::parse(again.output).at("eval_top1"),
            Json::parse(training_.output).at("eval_top1"));
  EXPECT_EQ(read_text_file(path("run/summary.csv")), before);
}

TEST_F(WholeRun, EvaluationRepeatsTheAccuracyOfTraining) {
  const auto run = run_program(evaluation() + Words{"--json", path("eval.json")});
  EXPECT_TRUE(succeeds(run));
  const auto result = read_json(path("eval.json"));
  const double top1 = result.at("top1");
  EXPECT_EQ(top1, Json::parse(training_.output).at("eval_top1").get<double>());
  EXPECT_THAT(run.output, HasSubstr(fmt::format(" * Acc@1 {:.3f} ({:.3f}) Acc@5", 100 * top1,
                                                100 * (1 - top1))));
  EXPECT_EQ(result.at("class_accuracy").size(), 10U);
  int64_t images = 0;
  int64_t hits = 0;
  for (size_t label = 0; label < 10; ++label) {
    const auto row = result.at("confusion").at(label).get<std::vector<int64_t>>();
    images += std::accumulate(row.begin(), row.end(), int64_t{0});
    hits += row[label];
    EXPECT_THAT(run.output, HasSubstr("\n" + std::to_string(label) + "  "));
  }
  EXPECT_EQ(images, result.at("examples").get<int64_t>());
  EXPECT_DOUBLE_EQ(static_cast<double>(hits) / static_cast<double>(images), top1);
}

TEST_F(WholeRun, PredictionsOfFilesAgreeWithThoseOfArrays) {
  const auto digits = *folder_ / "digits";
  write_digit_files(digits, 7);
  const auto run =
      run_program({"predict", "--checkpoint", checkpoint(), digits.string(), "--format", "json",
                   "--topk", "3", "--output", path("files.npz"), "--json", path("predict.json")});
  EXPECT_TRUE(succeeds(run));
  const auto result = Json::parse(run.output);
  EXPECT_EQ(read_json(path("predict.json")).at("images"), result.at("images"));
  const auto arrays = read_npz(path("files.npz"));
  EXPECT_TRUE(same_bits(arrays.at("indices"), torch::arange(7)));
  EXPECT_EQ(arrays.at("logits").sizes(), (torch::IntArrayRef{7, 10}));
  EXPECT_EQ(arrays.at("features").sizes(), (torch::IntArrayRef{7, 16}));
  EXPECT_TRUE(same_bits(arrays.at("labels"), arrays.at("logits").argmax(1)));
  ASSERT_EQ(result.at("images").size(), 7U);
  const auto& image = result.at("images").at(4);
  EXPECT_THAT(image.at("image").get<std::string>(), HasSubstr((digits / "4-").string()));
  ASSERT_EQ(image.at("predictions").size(), 3U);
  const auto probabilities = arrays.at("logits").softmax(1);  // [images, classes]
  const int64_t best = image.at("predictions").at(0).at("class");
  EXPECT_EQ(image.at("predictions").at(0).at("name"), std::to_string(best));
  EXPECT_EQ(best, arrays.at("labels")[4].item<int64_t>());
  EXPECT_NEAR(image.at("predictions").at(0).at("probability").get<double>(),
              probabilities[4][best].item<double>(), 1e-6);
}

TEST_F(WholeRun, PredictionsComeAsTableAndCsv) {
  const auto digits = *folder_ / "one";
  write_digit_files(digits, 1);
  const Words words{"predict", "--checkpoint", checkpoint(), digits.string(), "--topk", "2"};
  const auto table = run_program(words);
  EXPECT_TRUE(succeeds(table));
  EXPECT_EQ(table.error, "");
  EXPECT_THAT(split_text(table.output, '\n'),
              ElementsAre(testing::MatchesRegex("image +label +probability"),
                          testing::MatchesRegex(".*one/0-[0-9]\\.png +[0-9] +0\\.[0-9]{4}"),
                          testing::MatchesRegex(" +[0-9] +0\\.[0-9]{4}")));
  const auto csv = run_program(words + Words{"--format", "csv"});
  EXPECT_THAT(split_text(csv.output, '\n'),
              ElementsAre("image,rank,class,name,probability",
                          testing::MatchesRegex(".*png,1,([0-9]),[0-9],0\\.[0-9]+"),
                          testing::MatchesRegex(".*png,2,([0-9]),[0-9],0\\.[0-9]+")));
}

TEST_F(WholeRun, PredictionsOfPreparedArraysAreTakenAsTheyAre) {
  torch::manual_seed(5);
  const auto pixels = torch::randint(0, 256, {6, 8, 8, 1}, torch::kUInt8);
  // White is 1, black -1; pixels of the model's own size need no resizing.
  const auto ready = pixels.to(torch::kFloat32) / 127.5 - 1;  // [images, height, width, channels]
  write_npz(path("pixels.npz"), {{"images", pixels}});
  write_npz(path("ready.npz"), {{"images", ready}, {"other", torch::arange(3)}});
  for (const auto* name : {"pixels", "ready"}) {
    const auto run = run_program({"predict", "--checkpoint", checkpoint(), "--images",
                                  path(name + std::string(".npz")), "--output",
                                  path(name + std::string("_out.npz")), "--what", "labels,logits"});
    EXPECT_TRUE(succeeds(run));
    EXPECT_EQ(run.output, "");  // labels are shown with --format
  }
  const auto of_pixels = read_npz(path("pixels_out.npz"));
  const auto of_ready = read_npz(path("ready_out.npz"));
  ASSERT_EQ(of_ready.size(), 2U);
  EXPECT_TRUE(all_close(of_ready.at("logits"), of_pixels.at("logits"), {.absolute = 1e-4}));
  EXPECT_TRUE(same_bits(of_ready.at("labels"), of_pixels.at("labels")));
  EXPECT_GT((of_ready.at("logits")[0] - of_ready.at("logits")[1]).abs().max().item<float>(), 1e-3);
}

TEST_F(WholeRun, FewShotProbesOfTheFrozenModel) {
  const auto run = run_program({"fewshot", "--checkpoint", checkpoint(), "--dataset", "digits",
                                "--shots", "1", "5", "--json", path("fewshot.json")});
  EXPECT_TRUE(succeeds(run));
  const auto results = read_json(path("fewshot.json")).at("results");
  ASSERT_FALSE(results.empty());
  for (const auto& result : results) {
    EXPECT_GE(result.at("accuracy_mean").get<double>(), 0.1);
    EXPECT_LE(result.at("accuracy_mean").get<double>(), 1.0);
  }
}

TEST_F(WholeRun, FineTuningToOtherClassesSizeAndChannels) {
  for (int i = 0; i < 20; ++i) {
    for (const auto* label : {"noise", "snow", "rain"}) {
      write_random_png(*folder_ / "set" / label / (std::to_string(i) + ".png"), 13, 14,
                       static_cast<uint64_t>(i));
    }
  }
  const auto run = run_program({"finetune",
                                "--checkpoint",
                                checkpoint(),
                                "--dataset",
                                "folder",
                                "--data-dir",
                                path("set"),
                                "--img-size",
                                "12",
                                "--in-chans",
                                "3",
                                "--epochs",
                                "1",
                                "--batch-size",
                                "8",
                                "--output",
                                folder_->path().string(),
                                "--experiment",
                                "tuned",
                                "--threads",
                                "1"});
  EXPECT_TRUE(succeeds(run));
  EXPECT_THAT(run.error, HasSubstr("pos_embed"));
  const auto metadata = load_metadata(*folder_ / "tuned" / "last.h5");
  EXPECT_EQ(metadata.at("classes"), (Json{"noise", "rain", "snow"}));
  const auto predicted = run_program({"predict", "--checkpoint", path("tuned/last.h5"),
                                      path("set/rain/3.png"), "--topk", "9", "--format", "csv"});
  EXPECT_TRUE(succeeds(predicted));
  EXPECT_EQ(split_text(predicted.output, '\n').size(), 4U);  // the heading and three classes
}

TEST_F(WholeRun, RunConfigTrainsTheSameModelAgain) {
  const auto run =
      run_program({"train", "--config", path("run/config.toml"), "--output", path("again")});
  EXPECT_TRUE(succeeds(run));
  EXPECT_EQ(read_text_file(path("again/run/metrics.jsonl")),
            read_text_file(path("run/metrics.jsonl")));
}

TEST(Training, MirrorsImagesWhereThatKeepsTheirLabels) {
  const TemporaryFolder folder;
  for (const auto* split : {"train", "val"}) {
    for (const auto* label : {"cat", "dog"}) {
      write_random_png(folder / "pets" / split / label / "1.png", 8, 8, /*seed=*/1);
    }
  }
  const auto hflip_of = [&](const Words& words) {
    const TemporaryFolder runs;
    EXPECT_TRUE(succeeds(run_program(tiny_training(runs.path()) +
                                     Words{"--max-steps", "1", "--batch-size", "2"} + words)));
    const auto config = split_text(read_text_file(runs / "run" / "config.toml"), '\n');
    const auto line = std::find_if(config.begin(), config.end(), [](const std::string& text) {
      return text.starts_with("hflip = ");
    });
    return line == config.end() ? "none" : *line;
  };
  const Words pets{"--dataset", "folder", "--data-dir", (folder / "pets").string()};
  EXPECT_EQ(hflip_of({}), "hflip = 0.0");  // digits
  EXPECT_EQ(hflip_of(pets), "hflip = 0.5");
  EXPECT_EQ(hflip_of(pets + Words{"--hflip", "0.25"}), "hflip = 0.25");
}

TEST(Program, ListsModelsWithoutMakingThem) {
  const TemporaryFolder folder;
  const auto run = run_program({"models", "--json", (folder / "models.json").string()});
  EXPECT_TRUE(succeeds(run));
  EXPECT_THAT(run.output, HasSubstr("softmoe_b16_128e"));
  bool found = false;
  const auto models = read_json(folder / "models.json").at("models");
  for (const auto& model : models) {
    found = found || (model.at("name") == "vit_b16" && model.at("parameters") > 85'000'000);
  }
  EXPECT_TRUE(found);
}

TEST(Program, DescribesDataSets) {
  const auto run = run_program({"data", "describe", "--dataset", "digits"});
  EXPECT_TRUE(succeeds(run));
  EXPECT_THAT(run.output, HasSubstr("10"));
}

TEST(Program, ComparesTheThroughputOfModels) {
  const TemporaryFolder folder;
  const auto run =
      run_program({"benchmark", "--models", "vit_ti16", "softmoe_ti16_4e", "--img-size", "32",
                   "--batch-sizes", "1", "2", "--dtypes", "float32", "--rounds", "2",
                   "--round-seconds", "0.05", "--json", (folder / "benchmark.json").string()});
  EXPECT_TRUE(succeeds(run));
  const auto result = read_json(folder / "benchmark.json");
  const auto& records = result.at("records");
  const auto isa = result.at("machine").at("isa").get<std::string>();
  EXPECT_THAT(run.output.substr(0, run.output.find('\n')),
              testing::EndsWith("kernels of level " + isa));
  ASSERT_EQ(records.size(), 4U);
  for (const auto& record : records) {
    EXPECT_GT(record.at("images_per_second").at("median").get<double>(), 0.0);
  }
}

TEST(Program, ExplainsEveryCommand) {
  const auto all = run_program({"--help"});
  EXPECT_TRUE(succeeds(all));
  for (const auto* name :
       {"train", "finetune", "upcycle", "prune", "eval", "fewshot", "knn", "probe", "predict",
        "inspect", "benchmark", "models", "data", "report"}) {
    EXPECT_THAT(all.output, HasSubstr(std::string("\n  ") + name + " "));
    const auto run = run_program({name, "--help"});
    EXPECT_TRUE(succeeds(run)) << name;
    EXPECT_THAT(run.output, HasSubstr("--json")) << name;
    EXPECT_EQ(run.error, "") << name;
  }
  EXPECT_EQ(run_program({}).exit_code, 2);
  EXPECT_THAT(run_program({"--version"}).output, testing::StartsWith("softmoe "));
}

}  // namespace
}  // namespace softmoe::test
