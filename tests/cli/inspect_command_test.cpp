/// `softmoe inspect` as a user runs it.

#include <gmock/gmock.h>

#include "cli/tiny.h"
#include "core/options.h"
#include "core/split_text.h"
#include "datasets/image_file.h"
#include "io/atomic_file.h"
#include "softmoe/routers.h"
#include "support/temporary_folder.h"

namespace softmoe::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class InspectCommand : public testing::Test {
 protected:
  void SetUp() override {
    write_tiny_checkpoint(path("run/last.h5"));
    write_digit_files(folder_ / "digits", 5);
  }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  Words inspect(const Words& more) const {
    return Words{"inspect", "--checkpoint", path("run/last.h5"), "--output", path("maps"),
                 "--json",  path("i.json"), "--threads",         "1"} +
           more;
  }
  Json result() const { return Json::parse(read_text_file(path("i.json"))); }

  TemporaryFolder folder_;
};

TEST_F(InspectCommand, DrawsEveryMoeBlockAndCountsItsImages) {
  const auto run = run_program(
      inspect({path("digits"), "--count", "3", "--slots", "4", "--statistics-count", "5"}));
  ASSERT_TRUE(succeeds(run));
  const auto json = result();
  ASSERT_EQ(json.at("sheets").size(), 2U);
  EXPECT_EQ(json.at("sheets")[1].at("file"), "block_2.png");
  EXPECT_EQ(json.at("sheets")[1].at("slots").size(), 4U);
  EXPECT_EQ(json.at("images").size(), 3U);
  EXPECT_EQ(json.at("statistics_images"), 5);
  ASSERT_EQ(json.at("layers").size(), 2U);
  EXPECT_EQ(json.at("layers")[0].at("block"), 1);
  EXPECT_EQ(json.at("layers")[0].at("tokens"), 16);
  EXPECT_EQ(json.at("layers")[0].at("slots_per_expert"), 2);
  // A column for the image, one for all slots and four for slots; three images in two rows.
  const auto sheet = load_image(path("maps/block_1.png"));
  EXPECT_GT(sheet.cols, 6 * 104);
  EXPECT_GT(sheet.rows, 3 * 2 * 104);
  EXPECT_THAT(split_text(run.output, '\n'),
              ElementsAre(HasSubstr("importance max/min"), HasSubstr("16"), HasSubstr("16")));
}

TEST_F(InspectCommand, TakesBlocksBeforeAndBehindTheImages) {
  const auto image = path("digits/");
  for (const auto& words :
       {Words{"--blocks", "2", image}, Words{image, "--blocks", "2"}, Words{"--blocks=2", image}}) {
    ASSERT_TRUE(succeeds(run_program(inspect(words))));
    ASSERT_EQ(result().at("sheets").size(), 1U);
    EXPECT_EQ(result().at("sheets")[0].at("file"), "block_2.png");
  }
  ASSERT_TRUE(succeeds(run_program(inspect({"--blocks", "1,2", image}))));
  EXPECT_EQ(result().at("sheets").size(), 2U);
}

TEST_F(InspectCommand, TakesImagesOfADataSetByItsSeed) {
  const Words words{"--dataset", "digits", "--count", "2", "--statistics-count", "9"};
  ASSERT_TRUE(succeeds(run_program(inspect(words))));
  const auto first = result();
  EXPECT_THAT(first.at("images")[0].at("caption").get<std::string>(),
              testing::MatchesRegex("[0-9]"));
  ASSERT_TRUE(succeeds(run_program(inspect(words))));
  EXPECT_EQ(result().at("images"), first.at("images"));
  ASSERT_TRUE(succeeds(run_program(inspect(words + Words{"--seed", "5"}))));
  EXPECT_NE(result().at("images"), first.at("images"));
}

TEST_F(InspectCommand, LooksIntoSparseRouters) {
  for (const auto* router : {"tokens_choice", "experts_choice"}) {
    write_tiny_checkpoint(path("run/last.h5"), {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"},
                          router);
    const auto run = run_program(inspect({path("digits"), "--count", "2"}));
    ASSERT_TRUE(succeeds(run)) << router;
    EXPECT_THAT(run.output, HasSubstr("busiest expert / mean")) << router;
    const auto layer = result().at("layers")[1];
    EXPECT_EQ(layer.at("experts"), 3);
    EXPECT_EQ(layer.at("expert_load").size(), 3U);
    EXPECT_GT(layer.at("experts_per_token").get<double>(), 0.0) << router;
    EXPECT_FALSE(layer.contains("slots_per_expert"));
    const auto sheet = result().at("sheets")[0];
    EXPECT_EQ(sheet.at("slots"), (Json{0, 1, 2}));
    EXPECT_THAT(sheet.at("caption").get<std::string>(), HasSubstr("3 of 3 experts"));
    EXPECT_GT(load_image(path("maps/block_1.png")).cols, 5 * 104);
  }
}

TEST_F(InspectCommand, CallsTheModelByItsRun) {
  ASSERT_TRUE(succeeds(run_program(inspect({path("digits")}))));
  EXPECT_EQ(result().at("label"), "last");  // no config.toml: the folder is no run
  write_text_file(folder_ / "run" / "config.toml", "");
  ASSERT_TRUE(succeeds(run_program(inspect({path("digits")}))));
  EXPECT_EQ(result().at("label"), "run");
  ASSERT_TRUE(succeeds(run_program(inspect({path("digits"), "--label", "mine"}))));
  EXPECT_EQ(result().at("label"), "mine");
}

TEST_F(InspectCommand, SaysWhatIsWrong) {
  EXPECT_TRUE(fails_with_one_line(run_program({"inspect", "--count", "1"}), 2, {"--checkpoint"}));
  EXPECT_TRUE(fails_with_one_line(run_program(inspect({})), 2, {"--data-dir"}));
  EXPECT_TRUE(fails_with_one_line(run_program(inspect({path("none.png")})), 1,
                                  {path("none.png"), "No such file"}));
  EXPECT_TRUE(fails_with_one_line(run_program(inspect({path("digits"), "--blocks", "0"})), 2,
                                  {"--blocks", "MoE blocks of the model: 1, 2", "0"}));
  EXPECT_TRUE(fails_with_one_line(run_program(inspect({"--blocks", path("digits")})), 2,
                                  {"--blocks", "an integer", path("digits")}));
  EXPECT_TRUE(
      fails_with_one_line(run_program(inspect({path("digits"), "--checkpoint", path("none.h5")})),
                          1, {path("none.h5")}));
  EXPECT_TRUE(fails_with_one_line(run_program(inspect({path("digits"), "--slot-choice", "pretty"})),
                                  2, {"pretty", "peaked"}));
  write_text_file(folder_ / "maps", "in the way of the folder");
  EXPECT_TRUE(ends_with_one_error(run_program(inspect({path("digits")})), 1, {path("maps")}));
}

TEST_F(InspectCommand, NamesModelsWithoutMaps) {
  write_tiny_checkpoint(path("run/last.h5"), {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"},
                        "smear");
  EXPECT_TRUE(fails_with_one_line(run_program(inspect({path("digits")})), 1,
                                  {path("run/last.h5"), "sends tokens to experts", "smear"}));
}

}  // namespace
}  // namespace softmoe::test
