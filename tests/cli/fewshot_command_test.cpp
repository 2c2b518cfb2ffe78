#include <gmock/gmock.h>

#include <fstream>

#include "cli/tiny.h"
#include "core/options.h"
#include "eval/feature_set.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"

namespace softmoe::test {
namespace {

/// Classes around the corners of a simplex, as features on disk.
std::string write_clusters(const std::filesystem::path& path, int64_t examples, int64_t seed) {
  torch::manual_seed(seed);
  const auto labels = torch::arange(examples, torch::kInt64).remainder(4);
  const auto features =
      torch::eye(4, 6).index_select(0, labels) + 0.5 * torch::randn({examples, 6});
  write_features(path, {.name = path.string(), .features = features, .labels = labels});
  return path.string();
}

Json read_results(const std::string& path) {
  std::ifstream file(path);
  return Json::parse(file);
}

class FewShotCommand : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  TemporaryFolder folder_;
  std::string train_ = write_clusters(folder_ / "train.npz", 120, 1);
  std::string test_ = write_clusters(folder_ / "test.npz", 80, 2);
  std::string json_ = path("result.json");
};

TEST_F(FewShotCommand, ScoresFeaturesFromAnywhere) {
  ASSERT_TRUE(succeeds(
      run_program({"fewshot", "--train-features", train_, "--test-features", test_, "--shots", "1",
                   "25", "--lambdas", "1", "1024", "--fewshot-seeds", "4", "--json", json_})));
  const auto results = read_results(json_).at("results");
  ASSERT_EQ(results.size(), 4U);
  EXPECT_EQ(results[3].at("shots"), 25);
  EXPECT_EQ(results[3].at("lambda"), 1024.0);
  EXPECT_EQ(results[3].at("accuracies").size(), 4U);
  EXPECT_GT(results[3].at("accuracy_mean").get<double>(), 0.6);
  EXPECT_LE(results[3].at("accuracy_mean").get<double>(), 1.0);
}

TEST_F(FewShotCommand, SaysWhereClassesHaveFewerExamplesThanShots) {
  const auto run = run_program({"fewshot", "--train-features", train_, "--test-features", test_,
                                "--shots", "1", "1000", "--fewshot-seeds", "1"});
  ASSERT_TRUE(succeeds(run));
  EXPECT_THAT(run.error, testing::HasSubstr("--shots 1000: "));
  EXPECT_THAT(run.error, testing::HasSubstr(" have fewer training examples, "));
  EXPECT_THAT(run.error, testing::Not(testing::HasSubstr("--shots 1:")));
}

TEST_F(FewShotCommand, SelectsOneLambdaForAllSets) {
  const auto other_test = write_clusters(folder_ / "other.npz", 60, 3);
  ASSERT_TRUE(succeeds(
      run_program({"fewshot", "--train-features", train_, train_, "--test-features", test_,
                   other_test, "--shots", "5", "--test-selected-lambda", "--json", json_})));
  const auto sets = read_results(json_).at("sets");
  ASSERT_EQ(sets.size(), 2U);
  EXPECT_EQ(sets[1].at("name"), other_test);
  for (const auto& set : sets) {
    EXPECT_TRUE(set.at("lambda_selected_on_test").get<bool>());
    ASSERT_EQ(set.at("results").size(), 1U);
    EXPECT_EQ(set.at("results")[0].at("lambda"), sets[0].at("results")[0].at("lambda"));
  }
}

TEST_F(FewShotCommand, SavedFeaturesScoreAsTheImagesDid) {
  write_tiny_checkpoint(folder_ / "tiny.h5");
  const auto saved = path("digits");
  ASSERT_TRUE(succeeds(run_program({"fewshot", "--checkpoint", path("tiny.h5"), "--dataset",
                                    "digits", "--features", "pixels", "--pool", "30", "--shots",
                                    "5", "--save-features", saved, "--json", json_})));
  const auto of_images = read_results(json_).at("results");
  ASSERT_TRUE(
      succeeds(run_program({"fewshot", "--train-features", saved + "-train.npz", "--test-features",
                            saved + "-test.npz", "--shots", "5", "--json", json_})));
  EXPECT_EQ(read_results(json_).at("results"), of_images);
  EXPECT_GT(of_images[0].at("accuracy_mean").get<double>(), 0.5);
}

TEST_F(FewShotCommand, ComputesTheFeaturesThatItNeedsAlone) {
  write_tiny_checkpoint(folder_ / "tiny.h5");
  const Words words{"fewshot", "--checkpoint", path("tiny.h5"), "--dataset", "digits", "--shots",
                    "1,4",     "--json",       json_,           "--threads", "1"};
  ASSERT_TRUE(succeeds(run_program(words)));
  const auto few = read_results(json_);
  ASSERT_TRUE(succeeds(run_program(words + Words{"--save-features", path("all")})));
  const auto all = read_results(json_);
  EXPECT_EQ(few.at("results"), all.at("results"));
  EXPECT_EQ(few.at("train_examples"), 898);
  EXPECT_EQ(few.at("label"), "tiny");
}

TEST_F(FewShotCommand, DrawsAmongImagesThatCanBeRead) {
  write_tiny_checkpoint(folder_ / "tiny.h5");
  for (const auto* split : {"train", "val"}) {
    for (int i = 0; i < 6; ++i) {
      for (const auto* label : {"cat", "dog"}) {
        write_random_png(folder_ / "set" / split / label / (std::to_string(i) + ".png"), 8, 8,
                         static_cast<uint64_t>(i));
      }
    }
  }
  for (const auto* name : {"cat/0.png", "cat/4.png", "dog/2.png"}) {
    std::filesystem::resize_file(folder_ / "set" / "train" / name, 50);
  }
  const auto run =
      run_program({"fewshot", "--checkpoint", path("tiny.h5"), "--data-dir", path("set"), "--shots",
                   "4", "--max-bad-images", "0.5", "--json", json_});
  ASSERT_TRUE(succeeds(run));
  EXPECT_THAT(run.error, testing::HasSubstr("drawing among those that can"));
  EXPECT_EQ(read_results(json_).at("train_examples"), 9);
}

TEST_F(FewShotCommand, SaysWhatIsWrong) {
  const Words both{"--train-features", train_, "--test-features", test_};
  EXPECT_TRUE(fails_with_one_line(run_program({"fewshot", "--train-features", train_}), 2,
                                  {"--test-features", "1 file as --train-features"}));
  EXPECT_TRUE(fails_with_one_line(run_program({"fewshot"}), 2, {"--checkpoint"}));
  EXPECT_TRUE(fails_with_one_line(run_program(Words{"fewshot", "--lambdas", "0"} + both), 2,
                                  {"lambdas", "positive"}));
  EXPECT_TRUE(fails_with_one_line(run_program(Words{"fewshot", "--shots", "0"} + both), 2,
                                  {"--shots", "at least 1"}));
  const auto labels = torch::tensor({0, 9}, torch::kInt64);
  write_features(folder_ / "odd.npz",
                 {.name = "odd", .features = torch::ones({2, 6}), .labels = labels});
  EXPECT_TRUE(fails_with_one_line(
      run_program({"fewshot", "--train-features", train_, "--test-features", path("odd.npz")}), 1,
      {"odd.npz", "labels", "found 9"}));
}

TEST(BenchmarkCommand, SaysWhatIsWrong) {
  EXPECT_TRUE(fails_with_one_line(
      run_program({"benchmark", "--models", "vit_ti16", "--baseline", "vit_s16"}), 2,
      {"baseline", "vit_s16"}));
  EXPECT_TRUE(fails_with_one_line(
      run_program({"benchmark", "--models", "softmoe_h14_65536e", "--dtypes", "bfloat16"}), 1,
      {"softmoe_h14_65536e", "bfloat16", "of weights"}));
}

}  // namespace
}  // namespace softmoe::test
