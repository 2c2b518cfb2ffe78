/// Averages of checkpoints by `softmoe average`.

#include <gmock/gmock.h>

#include <filesystem>

#include "checkpoints/checkpoint.h"
#include "cli/tiny.h"
#include "support/temporary_folder.h"

namespace softmoe::test {
namespace {

class AverageCommand : public testing::Test {
 protected:
  AverageCommand() {
    write_tiny_checkpoint(folder_ / "a.h5");
    write_tiny_checkpoint(folder_ / "b.h5");
  }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  TemporaryFolder folder_;
};

TEST_F(AverageCommand, WritesAModelThatOtherCommandsRead) {
  const auto run = run_program({"average", path("a.h5"), path("b.h5"), "--output", path("mean.h5"),
                                "--dataset", "digits", "--json", path("mean.json")});
  EXPECT_TRUE(succeeds(run));
  EXPECT_EQ(read_json(path("mean.json")).at("models").size(), 2U);
  EXPECT_EQ(load_metadata(path("mean.h5")).at("averaged"), (Json{path("a.h5"), path("b.h5")}));
  EXPECT_TRUE(succeeds(run_program({"eval", path("mean.h5"), "--dataset", "digits"})));
}

TEST_F(AverageCommand, RefusesWhatHasNoMean) {
  write_tiny_checkpoint(folder_ / "other.h5", {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"},
                        "tokens_choice");
  const auto average = [&](const Words& words) { return run_program(Words{"average"} + words); };
  EXPECT_TRUE(fails_with_one_line(average({path("a.h5"), "--output", path("mean.h5")}), 2,
                                  {"CHECKPOINT: expected at least two files, found 1"}));
  EXPECT_TRUE(
      fails_with_one_line(average({path("a.h5"), path("b.h5")}), 2, {"--output is missing"}));
  EXPECT_TRUE(fails_with_one_line(
      average({path("a.h5"), path("b.h5"), "--output", path("mean.h5"), "--greedy"}), 2,
      {"--data-dir or --dataset is missing"}));
  EXPECT_TRUE(
      fails_with_one_line(average({path("a.h5"), path("other.h5"), "--output", path("mean.h5")}), 1,
                          {"other.h5: expected router \"soft\" as in", "found \"tokens_choice\""}));
  EXPECT_NE(average({path("a.h5"), path("b.h5"), "--output", path("b.h5")}).exit_code, 0);
  EXPECT_FALSE(std::filesystem::exists(path("mean.h5")));
}

}  // namespace
}  // namespace softmoe::test
