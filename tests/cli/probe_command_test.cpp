#include <gmock/gmock.h>

#include "checkpoints/checkpoint.h"
#include "cli/tiny.h"
#include "support/temporary_folder.h"

namespace softmoe::test {
namespace {

using testing::HasSubstr;

class ProbeCommand : public testing::Test {
 protected:
  ProbeCommand() { write_tiny_checkpoint(folder_ / "tiny.h5", {"old", "names"}); }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  /// A short probe of the digits.
  Words probe() const {
    return {"probe",          path("tiny.h5"), "--dataset",   "digits", "--epochs",           "2",
            "--epoch-length", "100",           "--threads",   "1",      "--probe-batch-size", "128",
            "--json",         json_,           "--amp-dtype", "float32"};
  }

  TemporaryFolder folder_;
  std::string json_ = path("result.json");
};

TEST_F(ProbeCommand, WritesAModelThatIsAsGood) {
  const auto headed = path("headed.h5");
  const auto run = run_program(probe() + Words{"--output", headed});
  ASSERT_TRUE(succeeds(run));
  EXPECT_THAT(run.output, HasSubstr(" * learning rate "));
  const auto probed = read_json(json_);
  EXPECT_EQ(probed.at("label"), "tiny");
  EXPECT_EQ(probed.at("selection").size(), 13U);
  EXPECT_EQ(probed.at("train_examples"), 898);
  EXPECT_EQ(probed.at("classes").size(), 10U);
  EXPECT_GT(probed.at("top1").get<double>(), 0.25);
  ASSERT_TRUE(succeeds(run_program({"eval", headed, "--dataset", "digits", "--json", json_,
                                    "--amp-dtype", "float32", "--threads", "1"})));
  const auto evaluated = read_json(json_);
  EXPECT_NEAR(evaluated.at("top1").get<double>(), probed.at("top1").get<double>(), 1.5e-3);
  EXPECT_NEAR(evaluated.at("loss").get<double>(), probed.at("loss").get<double>(), 1e-3);
  EXPECT_EQ(evaluated.at("classes"), probed.at("classes"));
  EXPECT_EQ(load_metadata(headed).at("probe").at("learning_rate"), probed.at("learning_rate"));
}

TEST_F(ProbeCommand, ProbesFilesOfFeatures) {
  const auto saved = path("digits");
  ASSERT_TRUE(succeeds(run_program(probe() + Words{"--features", "pixels", "--save-features", saved,
                                                   "--learning-rates", "0.1"})));
  const auto of_images = read_json(json_);
  EXPECT_GT(of_images.at("top1").get<double>(), 0.85);
  ASSERT_TRUE(succeeds(run_program(
      {"probe", "--train-features", saved + "-train.npz", "--test-features", saved + "-test.npz",
       "--learning-rates", "0.1", "--epochs", "2", "--epoch-length", "100", "--probe-batch-size",
       "128", "--threads", "1", "--json", json_})));
  EXPECT_EQ(read_json(json_).at("loss"), of_images.at("loss"));
}

TEST_F(ProbeCommand, LearnsFromViewsOfImages) {
  const auto views = Words{"--views", "2", "--learning-rates", "0.1"};
  EXPECT_TRUE(fails_with_one_line(run_program(probe() + views), 2, {"views", "not augment"}));
  auto checkpoint = load_checkpoint(path("tiny.h5"));
  checkpoint.metadata["preprocess"]["train-crop-mode"] = "padded";
  save_checkpoint(path("tiny.h5"), checkpoint);
  ASSERT_TRUE(succeeds(run_program(probe() + Words{"--learning-rates", "0.1"})));
  const auto alone = read_json(json_);
  ASSERT_TRUE(succeeds(run_program(probe() + views)));
  EXPECT_NE(read_json(json_).at("loss"), alone.at("loss"));
  EXPECT_GT(read_json(json_).at("top1").get<double>(), 0.25);
}

TEST_F(ProbeCommand, SaysWhatIsWrong) {
  EXPECT_TRUE(fails_with_one_line(run_program({"probe"}), 2, {"--checkpoint"}));
  EXPECT_TRUE(fails_with_one_line(
      run_program(probe() + Words{"--features", "pixels", "--output", path("x.h5")}), 2,
      {"OUTPUT", "--features"}));
  EXPECT_TRUE(fails_with_one_line(run_program(probe() + Words{"--output", path("tiny.h5")}), 2,
                                  {"output", "another file"}));
  EXPECT_TRUE(fails_with_one_line(run_program(probe() + Words{"--learning-rates", "0"}), 2,
                                  {"learning-rates", "positive"}));
  EXPECT_TRUE(fails_with_one_line(run_program(probe() + Words{"--sampling", "fair"}), 2,
                                  {"--sampling", "uniform, sqrt, balanced"}));
}

}  // namespace
}  // namespace softmoe::test
