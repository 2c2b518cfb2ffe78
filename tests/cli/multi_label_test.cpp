/// Training and evaluation on images with several labels.

#include <gmock/gmock.h>

#include "cli/tiny.h"
#include "io/atomic_file.h"
#include "support/temporary_folder.h"

namespace softmoe::test {
namespace {

using testing::HasSubstr;

/// Digits whose labels are properties of their numbers.
class MultiLabel : public testing::Test {
 protected:
  MultiLabel() {
    write_digit_files(folder_.path(), 120);
    std::string text = "path,label\n";
    for (const auto& file : std::filesystem::directory_iterator(folder_.path())) {
      const auto name = file.path().filename().string();
      const int digit = name.at(name.find('-') + 1) - '0';
      text += name + "," + (digit % 2 == 1 ? "odd;" : "") + (digit > 4 ? "large" : "") + "\n";
    }
    write_text_file(folder_ / "t.csv", text);
  }

  Words data() const {
    return {"--dataset", "manifest", "--data-dir", (folder_ / "t.csv").string(), "--multi-label"};
  }

  TemporaryFolder folder_;
};

TEST_F(MultiLabel, SetsAreLearntAndMeasured) {
  const auto json = (folder_ / "result.json").string();
  const auto output = folder_ / "runs";
  const Words training =
      Words{"train", "--output",    output.string(), "--experiment", "run", "--epochs",
            "3",     "--lr",        "1e-2",          "--batch-size", "16",  "--mixup",
            "0.2",   "--amp-dtype", "float32",       "--json",       json} +
      data() + tiny_model_flags();
  const auto run = run_program(training);
  ASSERT_TRUE(succeeds(run));
  EXPECT_THAT(run.error, HasSubstr("mAP "));
  const auto result = read_json(json).at("result");
  EXPECT_GT(result.at("best_mean_average_precision").get<double>(), 0.3);
  EXPECT_EQ(result.at("last").at("average_precision").size(), 2U);
  EXPECT_THAT(read_text_file(output / "run/evaluations.jsonl"), HasSubstr("average_precision"));
  const auto checkpoint = (output / "run/last.h5").string();
  const auto eval =
      run_program(Words{"eval", checkpoint, "--json", json, "--threads", "1"} + data());
  ASSERT_TRUE(succeeds(eval));
  EXPECT_THAT(eval.output, HasSubstr(" * mAP "));
  EXPECT_THAT(eval.output, HasSubstr("average precision"));
  EXPECT_NEAR(read_json(json).at("mean_average_precision").get<double>(),
              result.at("last").at("mean_average_precision").get<double>(), 1e-3);
}

TEST_F(MultiLabel, PackedFilesKeepAllLabels) {
  const auto packed = (folder_ / "packed.h5").string();
  ASSERT_TRUE(succeeds(run_program(Words{"data", "pack", packed} + data())));
  const auto exported = [this](const std::string& name, const Words& source) {
    const auto json = (folder_ / (name + ".json")).string();
    EXPECT_TRUE(succeeds(run_program(Words{"data", "export", (folder_ / name).string(), "--split",
                                           "all", "--count", "9", "--json", json} +
                                     source)));
    std::vector<Json> labels;
    const auto result = read_json(json);
    for (const auto& file : result.at("splits").at(0).at("files")) {
      labels.push_back(file.at("labels"));
    }
    return labels;
  };
  const auto labels = exported("from_packed", {"--dataset", "hdf5", "--data-dir", packed});
  EXPECT_EQ(labels, exported("from_files", data()));
  EXPECT_EQ(labels.size(), 9U);
  ASSERT_TRUE(succeeds(
      run_program(Words{"data", "pack", (folder_ / "digits.h5").string(), "--dataset", "digits"})));
  EXPECT_TRUE(ends_with_one_error(
      run_program(Words{"data", "describe", "--dataset", "hdf5", "--data-dir",
                        (folder_ / "digits.h5").string(), "--multi-label"}),
      2, {"--multi-label: expected a file that was packed with --multi-label"}));
}

TEST_F(MultiLabel, SetsAreRefusedWhereImagesNeedOneLabel) {
  write_tiny_checkpoint(folder_ / "tiny.h5");
  const auto checkpoint = (folder_ / "tiny.h5").string();
  for (const std::string command : {"knn", "probe", "fewshot"}) {
    EXPECT_TRUE(ends_with_one_error(run_program(Words{command, checkpoint} + data()), 2,
                                    {"--multi-label: expected one label per image"}))
        << command;
  }
  EXPECT_TRUE(ends_with_one_error(
      run_program(Words{"train", "--dataset", "digits", "--multi-label"} + tiny_model_flags()), 2,
      {"--multi-label: expected --dataset manifest, shards or hdf5, found --dataset digits"}));
  EXPECT_TRUE(ends_with_one_error(
      run_program(Words{"train", "--loss", "softmax"} + data() + tiny_model_flags()), 2,
      {"--loss: expected sigmoid for images with several labels"}));
}

}  // namespace
}  // namespace softmoe::test
