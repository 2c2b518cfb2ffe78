#include <gmock/gmock.h>

#include "cli/tiny.h"
#include "eval/feature_set.h"
#include "support/temporary_folder.h"

namespace softmoe::test {
namespace {

using testing::HasSubstr;

class KnnCommand : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  TemporaryFolder folder_;
  std::string json_ = path("result.json");
};

TEST_F(KnnCommand, ClassifiesImagesAndSavedFeaturesAlike) {
  write_tiny_checkpoint(folder_ / "tiny.h5");
  const auto saved = path("digits");
  const Words k{"--k", "1,10", "2000", "--json", json_, "--threads", "1"};
  const auto run = run_program(Words{"knn", path("tiny.h5"), "--dataset", "digits", "--features",
                                     "pixels", "--save-features", saved} +
                               k);
  ASSERT_TRUE(succeeds(run));
  EXPECT_THAT(run.output, HasSubstr("digits: pixels, 64 features, 10 classes"));
  EXPECT_THAT(run.error, HasSubstr("--k 2000: digits train has 898 examples, which all vote"));
  const auto of_images = read_json(json_);
  EXPECT_EQ(of_images.at("label"), "pixels");
  EXPECT_EQ(of_images.at("name"), "digits");
  EXPECT_EQ(of_images.at("train_examples"), 898);
  ASSERT_EQ(of_images.at("results").size(), 3U);
  EXPECT_EQ(of_images.at("results")[1].at("k"), 10);
  EXPECT_GT(of_images.at("results")[1].at("top1").get<double>(), 0.9);
  EXPECT_GT(of_images.at("results")[1].at("top5").get<double>(), 0.97);
  const Words files{"knn", "--train-features", saved + "-train.npz", "--test-features",
                    saved + "-test.npz"};
  ASSERT_TRUE(succeeds(run_program(files + k)));
  EXPECT_EQ(read_json(json_).at("results"), of_images.at("results"));
}

TEST_F(KnnCommand, UsesTheFeaturesOfTheCheckpointOrOfRandomWeights) {
  write_tiny_checkpoint(folder_ / "tiny.h5");
  const Words words{"knn", path("tiny.h5"), "--dataset", "digits",    "--json",
                    json_, "--k",           "10",        "--threads", "1"};
  std::vector<Json> results;
  for (const auto& more :
       {Words{}, Words{"--features", "random"}, Words{"--features", "random", "--seed", "1"}}) {
    ASSERT_TRUE(succeeds(run_program(words + more)));
    results.push_back(read_json(json_).at("results"));
  }
  EXPECT_GT(results[0][0].at("top1").get<double>(), 0.2);
  EXPECT_NE(results[0], results[1]);
  EXPECT_NE(results[1], results[2]);
}

TEST_F(KnnCommand, SaysWhatIsWrong) {
  EXPECT_TRUE(fails_with_one_line(run_program({"knn"}), 2, {"--checkpoint"}));
  EXPECT_TRUE(fails_with_one_line(run_program({"knn", "--train-features", "x.npz"}), 2,
                                  {"--test-features", "1 file as --train-features"}));
  EXPECT_TRUE(fails_with_one_line(
      run_program({"knn", path("tiny.h5"), "--dataset", "digits", "--temperature", "0"}), 2,
      {"temperature", "positive"}));
  EXPECT_TRUE(fails_with_one_line(run_program({"knn", path("tiny.h5"), "--k", "0"}), 2,
                                  {"--k", "at least 1"}));
}

}  // namespace
}  // namespace softmoe::test
