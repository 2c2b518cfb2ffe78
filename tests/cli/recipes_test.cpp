/// The recipes of configs/recipes run end to end on a folder of images, with flags behind them that
/// make models and runs small.

#include <gmock/gmock.h>

#include <filesystem>

#include "cli/tiny.h"
#include "support/temporary_folder.h"

namespace softmoe::test {
namespace {

namespace fs = std::filesystem;

TEST(Recipes, TrainOnAFolderOfImages) {
  const TemporaryFolder folder;
  for (const auto* split : {"train", "val"}) {
    for (const auto* label : {"a", "b"}) {
      for (uint64_t image = 0; image < 6; ++image) {
        write_random_png(folder / "imagenet" / split / label / (std::to_string(image) + ".JPEG"),
                         40, 48, image);
      }
    }
  }
  int64_t recipes = 0;
  for (const auto& entry :
       fs::directory_iterator(fs::path(SOFTMOE_SOURCE_FOLDER) / "configs/recipes")) {
    SCOPED_TRACE(entry.path().filename().string());
    const auto name = entry.path().stem().string();
    if (!name.starts_with("imagenet1k_")) {
      continue;
    }
    const bool has_moe = name.find("softmoe") != std::string::npos;
    Words flags{"train",
                "--config",
                entry.path().string(),
                "--data-dir",
                (folder / "imagenet").string(),
                "--img-size",
                "32",
                "--dim",
                "24",
                "--depth",
                "2",
                "--heads",
                "2",
                "--mlp-dim",
                "32",
                "--epochs",
                "3",
                "--batch-size",
                "4",
                "--grad-accum-steps",
                "1",
                "--workers",
                "1",
                "--warmup-epochs",
                "1",
                "--output",
                folder.path().string(),
                "--experiment",
                name,
                "--threads",
                "1"};
    const auto run = run_program(has_moe ? flags + Words{"--experts", "4"} : flags);
    EXPECT_TRUE(succeeds(run));
    const auto eval = run_program({"eval", (folder / name / "last.h5").string(), "--dataset",
                                   "folder", "--data-dir", (folder / "imagenet").string()});
    EXPECT_TRUE(succeeds(eval));
    ++recipes;
  }
  EXPECT_GE(recipes, 3);
}

}  // namespace
}  // namespace softmoe::test
