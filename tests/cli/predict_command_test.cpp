/// What `softmoe predict` reads images from, and what it says of those that it cannot read.

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <fstream>
#include <thread>

#include "cli/tiny.h"
#include "io/atomic_file.h"
#include "support/temporary_folder.h"

namespace softmoe::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class PredictCommand : public testing::Test {
 protected:
  PredictCommand() {
    write_tiny_checkpoint(path("tiny.h5"));
    write_random_png(path("image.png"), 8, 8, /*seed=*/1);
  }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  ProgramRun predict(const Words& images, const ProgramSetting& setting = {}) const {
    return run_program(Words{"predict", path("tiny.h5")} + images + Words{"--format", "json"},
                       setting);
  }
  Json predictions(const Words& images, const ProgramSetting& setting = {}) const {
    const auto run = predict(images, setting);
    EXPECT_TRUE(succeeds(run));
    return Json::parse(run.output).at("images");
  }

  TemporaryFolder folder_;
};

TEST_F(PredictCommand, ReadsStandardInputAndPipesToTheirEnd) {
  write_random_png(path("image.png"), 150, 200, /*seed=*/1);  // more than a pipe holds
  const auto bytes = read_text_file(path("image.png"));
  const auto expected = predictions({path("image.png")})[0].at("predictions");
  for (const auto* name : {"-", "/dev/stdin"}) {
    const auto images = predictions({name}, {.input = bytes});
    ASSERT_EQ(images.size(), 1U);
    EXPECT_EQ(images[0].at("image"), name);
    EXPECT_EQ(images[0].at("predictions"), expected);
  }
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  std::thread writer([&] { std::ofstream(path("pipe"), std::ios::binary) << bytes; });
  EXPECT_EQ(predictions({path("pipe"), path("image.png")})[0].at("predictions"), expected);
  writer.join();
}

TEST_F(PredictCommand, ReadsAPipeOnce) {
  EXPECT_TRUE(fails_with_one_line(predict({"-", path("image.png"), "-"}, {.input = "x"}), 2,
                                  {"'-'", "given twice"}));
  EXPECT_TRUE(fails_with_one_line(predict({"-", "/dev/stdin"}, {.input = "x"}), 2,
                                  {"'/dev/stdin'", "given twice"}));
}

TEST_F(PredictCommand, NamesEachImageThatItCannotReadAndPredictsTheOthers) {
  write_text_file(path("page.jpg"), "<!DOCTYPE html><html></html>");
  write_text_file(path("still.gif"), "GIF87a\1");
  write_text_file(path("photo.heic"), std::string("\0\0\0\x18"
                                                  "ftypheic\0\0\0\0mif1heic",
                                                  24));
  write_text_file(path("bomb.ppm"), "P6 60000 60000 255\n");
  write_text_file(path("empty.png"), "");
  std::filesystem::create_symlink("nowhere", path("link.png"));
  const auto run =
      predict({path("page.jpg"), path("still.gif"), path("image.png"), path("photo.heic"),
               path("bomb.ppm"), path("empty.png"), path("link.png"), "-", "/dev/null"});
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(
      run.error_lines(),
      ElementsAre(HasSubstr("page.jpg: is no image but an HTML page"), HasSubstr("still.gif: "),
                  HasSubstr("photo.heic: HEIC image"),
                  HasSubstr("bomb.ppm: PNM image of 60000 x 60000 pixels"),
                  HasSubstr("empty.png: the file is empty"), HasSubstr("link.png: No such file"),
                  HasSubstr("standard input: the file is empty"),
                  HasSubstr("/dev/null: the file is empty"), HasSubstr("8 of 9 images")));
  const auto images = Json::parse(run.output).at("images");
  ASSERT_EQ(images.size(), 9U);
  EXPECT_TRUE(images[2].contains("predictions"));
}

TEST_F(PredictCommand, SaysWhatItLeavesOutOfFolders) {
  for (const auto* name : {"a.gif", "b.heic", "c.HEIC", "d.txt"}) {
    write_text_file(folder_ / "set" / name, "x");
  }
  write_random_png(folder_ / "set" / "e.png", 8, 8, 1);
  const auto run = predict({path("set")});
  EXPECT_TRUE(succeeds(run));
  EXPECT_THAT(run.error, HasSubstr("1 file that is no image"));
  EXPECT_THAT(run.error, HasSubstr("3 images of formats that are not read (.gif, .heic)"));
}

TEST_F(PredictCommand, TakesNamesThatBeginWithADash) {
  write_random_png(path("-x.png"), 8, 8, 1);
  EXPECT_EQ(predictions({path("-x.png")}).size(), 1U);
  EXPECT_TRUE(succeeds(run_program({"predict", path("tiny.h5"), "--", path("-x.png")})));
}

}  // namespace
}  // namespace softmoe::test
