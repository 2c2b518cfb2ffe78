/// Files and folders whose names are not UTF-8: they work, and every JSON that is written is valid.

#include <gmock/gmock.h>

#include <algorithm>

#include "checkpoints/checkpoint.h"
#include "cli/tiny.h"
#include "io/atomic_file.h"
#include "support/temporary_folder.h"

namespace softmoe::test {
namespace {

using testing::HasSubstr;

class OddNames : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  Json read_json(const std::string& name) const {
    return Json::parse(read_text_file(folder_ / name));
  }

  TemporaryFolder folder_;
};

TEST_F(OddNames, PredictsTheirImages) {
  write_tiny_checkpoint(folder_ / "tiny.h5");
  write_random_png(folder_ / "caf\xe9.png", 8, 8, /*seed=*/1);
  const auto run = run_program({"predict", "--checkpoint", path("tiny.h5"), path("caf\xe9.png"),
                                "--format", "json", "--json", path("p.json")});
  ASSERT_TRUE(succeeds(run));
  for (const auto& json : {Json::parse(run.output), read_json("p.json")}) {
    EXPECT_EQ(json.at("images")[0].at("image"), path("caf\uFFFD.png"));
  }
  EXPECT_TRUE(succeeds(run_program({"report", path("p.json"), "--output", path("r.html")})));
  const auto inspected =
      run_program({"inspect", "--checkpoint", path("tiny.h5"), path("caf\xe9.png"), "--output",
                   path("maps"), "--json", path("i.json")});
  ASSERT_TRUE(succeeds(inspected));
  EXPECT_EQ(read_json("i.json").at("images")[0].at("caption"), "caf\uFFFD");
}

TEST_F(OddNames, TrainsOnTheirFoldersAndResumes) {
  for (const auto* split : {"train", "val"}) {
    for (int i = 0; i < 4; ++i) {
      for (const auto* label : {"na\xefve", "dog"}) {
        write_random_png(folder_ / "s\xe9t" / split / label / (std::to_string(i) + ".png"), 8, 8,
                         static_cast<uint64_t>(i));
      }
    }
  }
  const auto words = Words{"train",
                           "--dataset",
                           "folder",
                           "--data-dir",
                           path("s\xe9t"),
                           "--output",
                           path("r\xfcns"),
                           "--experiment",
                           "a",
                           "--epochs",
                           "2",
                           "--batch-size",
                           "4",
                           "--json",
                           path("t.json")} +
                     tiny_model_flags();
  ASSERT_TRUE(succeeds(run_program(words)));
  EXPECT_EQ(read_json("t.json").at("run_folder"), path("r\uFFFDns/a"));
  const auto metadata = load_metadata(folder_ / "r\xfcns" / "a" / "last.h5");
  EXPECT_EQ(metadata.at("classes"), (Json{"dog", "na\\xEFve"}));
  const auto again = run_program(words);
  ASSERT_TRUE(succeeds(again));
  EXPECT_THAT(again.error, HasSubstr("resuming"));
  const Words evaluate{"eval", "--checkpoint", path("r\xfcns/a/last.h5"), "--data-dir",
                       path("s\xe9t")};
  EXPECT_TRUE(succeeds(run_program(evaluate)));
}

TEST_F(OddNames, PacksTheirImages) {
  for (int i = 0; i < 3; ++i) {
    write_random_png(folder_ / "s\xe9t" / "caf\xe9" / (std::to_string(i) + ".png"), 8, 8, 1);
  }
  ASSERT_TRUE(succeeds(run_program({"data", "pack", "--data-dir", path("s\xe9t"), "--split", "all",
                                    "--output", path("p\xe9.h5"), "--json", path("d.json")})));
  EXPECT_EQ(read_json("d.json").at("splits")[0].at("file"), path("p\uFFFD.h5"));
  EXPECT_TRUE(succeeds(run_program(
      {"data", "verify", "--dataset", "hdf5", "--data-dir", path("p\xe9.h5"), "--split", "all"})));
}

TEST_F(OddNames, NeverMoveTheCursor) {
  write_tiny_checkpoint(folder_ / "tiny.h5");
  for (const auto* label : {"c\x1b[31mat", "do\ng"}) {
    for (int i = 0; i < 4; ++i) {
      write_random_png(folder_ / "set" / label / (std::to_string(i) + "\x1b[2J.png"), 8, 8, 1);
    }
    write_text_file(folder_ / "set" / label / "\x1b[3J.txt", "no image");
    write_text_file(folder_ / "set" / label / "\x1b[4J.png", "no image either");
  }
  const auto is_clean = [](const std::string& text) {
    return std::none_of(text.begin(), text.end(), [](char c) {
      return (static_cast<unsigned char>(c) < ' ' && c != '\n') || c == '\x7f';
    });
  };
  for (const auto& words :
       {Words{"predict", "--checkpoint", path("tiny.h5"), path("set")},
        Words{"data", "info", "--data-dir", path("set")},
        Words{"data", "verify", "--data-dir", path("set"), "--split", "all"},
        Words{"predict", "--checkpoint", path("tiny.h5"), path("no\x1b[31mthing.png")},
        Words{"describe", path("no\x1b[31mthing.h5")}}) {
    const auto run = run_program(words);
    EXPECT_FALSE(run.output.empty() && run.error.empty());
    EXPECT_TRUE(is_clean(run.output)) << run.output;
    EXPECT_TRUE(is_clean(run.error)) << run.error;
  }
}

}  // namespace
}  // namespace softmoe::test
