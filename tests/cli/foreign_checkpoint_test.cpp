/// Checkpoints of other libraries in commands that take a checkpoint.

#include <gmock/gmock.h>

#include "cli/tiny.h"
#include "io/atomic_file.h"
#include "io/npz.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"

namespace softmoe::test {
namespace {

using testing::HasSubstr;

class ForeignCheckpoint : public testing::Test {
 protected:
  void SetUp() override {
    write_tiny_checkpoint(path("tiny.h5"));
    write_random_png(path("image.png"), 9, 11, /*seed=*/1);
    std::filesystem::create_directory(path("folder"));
    ASSERT_TRUE(succeeds(run_program({"convert", path("tiny.h5"), model_})));
  }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  const TemporaryFolder folder_;
  const std::string model_ = path("folder/model.safetensors");
};

TEST_F(ForeignCheckpoint, PredictsAsItsOwnLibraryDoes) {
  const auto file = fixture("vmoe/tiny_vit_soft_gap.npz");
  const auto arrays = read_npz(file);
  write_npz(path("images.npz"), {{"images", arrays.at("images")}});
  const auto run =
      run_program({"predict", "--checkpoint", file.string(), "--images", path("images.npz"),
                   "--output", path("outputs.npz"), "--what", "logits, features"});
  ASSERT_TRUE(succeeds(run));
  EXPECT_THAT(run.error, HasSubstr(file.string() + ": npz, family vmoe, after 'params/'\n"));
  const auto outputs = read_npz(path("outputs.npz"));
  EXPECT_TRUE(all_close(outputs.at("logits"), arrays.at("fp32/logits")));
  EXPECT_TRUE(all_close(outputs.at("features"), arrays.at("fp32/features")));
}

TEST_F(ForeignCheckpoint, IsTakenByEveryCommandThatUsesAModelAsItIs) {
  const Words data{"--dataset", "digits", "--batch-size", "500", "--json", path("result.json")};
  ASSERT_TRUE(succeeds(run_program(Words{"eval", "--checkpoint", path("tiny.h5")} + data)));
  const auto native = read_json(path("result.json"));
  ASSERT_TRUE(succeeds(run_program(Words{"eval", "--checkpoint", path("folder")} + data)));
  EXPECT_EQ(read_json(path("result.json")).at("loss"), native.at("loss"));
  const Words model{"--checkpoint", model_};
  EXPECT_TRUE(succeeds(
      run_program(Words{"fewshot", "--shots", "1", "--fewshot-seeds", "1"} + model + data)));
  EXPECT_TRUE(
      succeeds(run_program(Words{"inspect", path("image.png"), "--output", path("maps")} + model)));
  EXPECT_TRUE(succeeds(run_program({"export", model_, path("model.onnx")})));
}

TEST_F(ForeignCheckpoint, IsRefusedWhereTrainingStateIsNeeded) {
  EXPECT_TRUE(fails_with_one_line(
      run_program({"finetune", "--checkpoint", model_, "--dataset", "digits"}), 1,
      {model_, "a native checkpoint", "softmoe convert", "found safetensors"}));
}

TEST_F(ForeignCheckpoint, IsNamedForWhatItIsWhereItIsNone) {
  write_text_file(path("text.txt"), "hello\n");
  EXPECT_TRUE(fails_with_one_line(
      run_program({"predict", "--checkpoint", path("text.txt"), path("image.png")}), 1,
      {path("text.txt"), "HDF5, safetensors, npz or a file of torch.save", "found a text file"}));
  EXPECT_TRUE(fails_with_one_line(
      run_program({"finetune", "--checkpoint", path("text.txt"), "--dataset", "digits"}), 1,
      {path("text.txt"), "found other data"}));
}

}  // namespace
}  // namespace softmoe::test
