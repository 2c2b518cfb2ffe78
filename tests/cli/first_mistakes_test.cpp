/// What new users try first and how they are told what works.

#include <gmock/gmock.h>

#include "cli/tiny.h"
#include "io/atomic_file.h"
#include "support/temporary_folder.h"

namespace softmoe::test {
namespace {

class FirstMistakes : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  TemporaryFolder folder_;
};

TEST_F(FirstMistakes, OutputsReplaceNothingOfAnotherKind) {
  write_tiny_checkpoint(folder_ / "tiny.h5");
  write_text_file(folder_ / "notes.txt", "mine");
  EXPECT_TRUE(ends_with_one_error(
      run_program({"average", path("tiny.h5"), "--output", path("notes.txt")}), 2,
      {"--output", "notes.txt: expected a new file, or one of a kind that softmoe writes"}));
  EXPECT_TRUE(ends_with_one_error(
      run_program({"upcycle", path("tiny.h5"), path("notes.txt"), "--experts", "2"}), 2,
      {"OUTPUT", "notes.txt: expected a new file"}));
  EXPECT_TRUE(ends_with_one_error(
      run_program({"upcycle", path("tiny.h5"), path("photo.jpg"), "--experts", "2"}), 2,
      {"expected the name of a model's file, found that of an image"}));
  EXPECT_TRUE(
      ends_with_one_error(run_program({"data", "sheet", path("script.py"), "--dataset", "digits"}),
                          2, {"OUTPUT of data sheet: expected a .png file"}));
  EXPECT_EQ(read_text_file(folder_ / "notes.txt"), "mine");
  for (int time = 0; time < 2; ++time) {
    EXPECT_TRUE(succeeds(run_program({"data", "sheet", path("a.png"), "--dataset", "digits"})));
  }
}

TEST_F(FirstMistakes, FoldersOfRunsNameTheirModel) {
  std::filesystem::create_directories(folder_ / "run");
  write_tiny_checkpoint(folder_ / "run/best.h5");
  for (const std::string command : {"eval", "finetune"}) {
    EXPECT_TRUE(ends_with_one_error(run_program({command, path("run"), "--dataset", "digits"}), 1,
                                    {"the folder of a run: its model is " + path("run/best.h5")}))
        << command;
  }
}

TEST_F(FirstMistakes, FlagsOfTimmAreAnswered) {
  EXPECT_TRUE(ends_with_one_error(run_program({"train", "--resume", "a.pth"}), 2,
                                  {"--resume", "started again with the same --output"}));
  EXPECT_TRUE(ends_with_one_error(run_program({"train", "--pretrained"}), 2,
                                  {"softmoe finetune CHECKPOINT"}));
  EXPECT_TRUE(ends_with_one_error(run_program({"models", "vit_base_patch16_224.augreg_in21k"}), 2,
                                  {"softmoe models lists", "did you mean vit_base_patch16_224?"}));
}

TEST_F(FirstMistakes, ExperimentsStayWithinTheirOutput) {
  EXPECT_TRUE(ends_with_one_error(
      run_program(Words{"train", "--dataset", "digits", "--output", path("runs"), "--experiment",
                        "../elsewhere"} +
                  tiny_model_flags()),
      2, {"--experiment: expected a name of a folder within --output, found '../elsewhere'"}));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "elsewhere"));
  write_digit_files(folder_ / "digits/train/a", 3);
  write_digit_files(folder_ / "digits/train/b", 3);
  EXPECT_TRUE(ends_with_one_error(
      run_program(Words{"train", "--data-dir", path("digits"), "--output", path("."),
                        "--experiment", "digits", "--batch-size", "2"} +
                  tiny_model_flags()),
      2, {"--experiment: expected another folder than that of the images"}));
}

TEST_F(FirstMistakes, RunsGoOnByTheirCommandAndWithTheirClasses) {
  write_digit_files(folder_ / "two/train/a", 4);
  write_digit_files(folder_ / "two/train/b", 4);
  std::filesystem::copy(folder_ / "two", folder_ / "three",
                        std::filesystem::copy_options::recursive);
  write_digit_files(folder_ / "three/train/c", 4);
  const auto train = [this](const std::string& data, const Words& more) {
    return run_program(Words{"train", "--data-dir", path(data), "--output", path("."),
                             "--experiment", "run", "--batch-size", "4", "--max-steps", "2"} +
                       more + tiny_model_flags());
  };
  ASSERT_TRUE(succeeds(train("two", {})));
  EXPECT_TRUE(ends_with_one_error(train("three", {"--epochs", "3"}), 1,
                                  {"the data of the run in", "expected 2 classes, found 3"}));
  EXPECT_TRUE(ends_with_one_error(
      run_program({"finetune", path("run/last.h5"), "--data-dir", path("two"), "--output",
                   path("."), "--experiment", "run", "--batch-size", "4"}),
      2, {"softmoe finetune: the run in", "/run is one of softmoe train"}));
}

}  // namespace
}  // namespace softmoe::test
