/// What messages advise works as it is printed: each case makes a mistake, reads the advice and
/// follows it.

#include <gmock/gmock.h>

#include <regex>

#include "checkpoints/formats/safetensors.h"
#include "checkpoints/model_checkpoint.h"
#include "cli/tiny.h"
#include "support/temporary_folder.h"

namespace softmoe::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

/// Runs the program in a folder of its own, in which names are short.
class Advice : public testing::Test {
 protected:
  Advice() : before_(fs::current_path()) { fs::current_path(folder_.path()); }
  ~Advice() override { fs::current_path(before_); }

  /// `count` images in each of two classes below `folder`.
  static void write_photos(const std::string& folder, int count) {
    for (int i = 0; i < count; ++i) {
      for (const char* label : {"cat", "dog"}) {
        write_random_png(fs::path(folder) / label / (std::to_string(i) + ".png"), 8, 8,
                         static_cast<uint64_t>(i));
      }
    }
  }

  /// The words of the message of a failed command that `pattern` captures.
  static Words advised(const Words& mistake, const std::string& pattern) {
    const auto run = run_program(mistake);
    std::smatch match;
    const auto text = run.error_lines().empty() ? "" : run.error_lines().back();
    if (run.exit_code == 0 || !std::regex_search(text, match, std::regex(pattern))) {
      ADD_FAILURE() << "exit code " << run.exit_code << ", no advice " << pattern << " in " << text;
      return {"none"};
    }
    Words words;
    for (std::istringstream stream(match[1]); stream >> words.emplace_back();) {
    }
    words.pop_back();
    return words;
  }

  const TemporaryFolder folder_;
  const fs::path before_;
};

TEST_F(Advice, NamesTheFlagOfAnArgumentThatHasNoPlace) {
  write_photos("photos", 2);
  write_tiny_checkpoint("tiny.h5", {"cat", "dog", "c", "d", "e", "f", "g", "h", "i", "j"});
  const std::string pattern = "did you mean (.*)\\?";
  const auto model = advised({"train", "vit_ti16"}, pattern);
  EXPECT_EQ(model, (Words{"--model", "vit_ti16"}));
  EXPECT_TRUE(succeeds(run_program(Words{"train"} + model + tiny_model_flags() +
                                   Words{"--dataset", "digits", "--max-steps", "1"})));
  const auto data = advised({"train", "photos"}, pattern);
  EXPECT_EQ(data, (Words{"--data-dir", "photos"}));
  EXPECT_EQ(advised({"eval", "tiny.h5", "photos"}, pattern), data);
  EXPECT_EQ(advised({"eval", "tiny.h5", "digits"}, pattern), (Words{"--dataset", "digits"}));
  const auto verified = advised({"data", "verify", "photos"}, "for a folder of images: (.*)$");
  EXPECT_TRUE(succeeds(run_program(Words{"data", "verify"} + verified)));
  EXPECT_EQ(advised({"eval", "tiny.h5", "--batch-sice", "8"}, pattern), Words{"--batch-size"});
}

TEST_F(Advice, SaysHowToNameAFileThatBeginsWithADash) {
  write_tiny_checkpoint("tiny.h5");
  write_random_png("-x y.png", 8, 8, 1);
  write_random_png("-x.png", 8, 8, 1);
  const auto file = advised({"predict", "tiny.h5", "-x.png"}, "the file of this name is (.*); see");
  EXPECT_EQ(file, Words{"./-x.png"});
  EXPECT_TRUE(succeeds(run_program(Words{"predict", "tiny.h5"} + file)));
  EXPECT_THAT(run_program({"predict", "tiny.h5", "-x y.png"}).error, HasSubstr("'./-x y.png'"));
}

TEST_F(Advice, NamesTheNearestModel) {
  const auto model = advised({"models", "vit-ti16"}, "did you mean (.*)\\?");
  EXPECT_TRUE(succeeds(run_program(Words{"models"} + model)));
  const auto run = run_program({"models", "vit_ti15"});
  EXPECT_TRUE(fails_with_one_line(run, 2, {"model: expected a patch size", "'vit_ti15'"}));
  EXPECT_TRUE(succeeds(run_program({"models", "vit_ti16", "--patch-size", "14"})));
}

TEST_F(Advice, ForModelsWithoutAHead) {
  write_tiny_checkpoint("tiny.h5");
  write_random_png("x.png", 8, 8, 1);
  ASSERT_TRUE(succeeds(run_program({"convert", "tiny.h5", "body.h5", "--num-classes", "0"})));
  const auto flags = advised({"predict", "body.h5", "x.png"}, "none; (.*) writes its features");
  EXPECT_TRUE(succeeds(run_program(Words{"predict", "body.h5", "x.png"} + flags)));
  EXPECT_TRUE(fs::exists("FILE.npz"));
  const auto command = advised({"eval", "body.h5", "--dataset", "digits"}, "softmoe (fewshot)");
  EXPECT_TRUE(succeeds(run_program(
      command + Words{"body.h5", "--dataset", "digits", "--shots", "1", "--fewshot-seeds", "1"})));
}

TEST_F(Advice, ForFilesOfSeveralModels) {
  write_tiny_checkpoint("tiny.h5");
  NamedTensors both;
  for (const auto& [name, tensor] : load_checkpoint("tiny.h5").model) {
    both["teacher." + name] = tensor;
    both["pupil." + name] = tensor + 1;
  }
  write_safetensors("both.safetensors", both);
  const auto command =
      advised({"eval", "both.safetensors", "--dataset", "digits"}, "softmoe (convert --prefix)");
  EXPECT_TRUE(succeeds(
      run_program(command + Words{"pupil.", "both.safetensors", "pupil.h5", "--heads", "2"})));
}

TEST_F(Advice, ForPruningWithoutImages) {
  write_tiny_checkpoint("tiny.h5");
  const Words prune{"prune", "tiny.h5", "small.h5", "--experts", "1"};
  EXPECT_TRUE(fails_with_one_line(run_program(prune), 2, {"--data-dir or --dataset is missing"}));
  EXPECT_TRUE(succeeds(run_program(prune + Words{"--dataset", "digits"})));
  EXPECT_TRUE(
      succeeds(run_program({"prune", "tiny.h5", "dense.h5", "--to", "dense", "--how", "average"})));
}

TEST_F(Advice, ShortNamesOfDtypesAreTakenByEveryCommand) {
  write_tiny_checkpoint("tiny.h5");
  write_random_png("x.png", 8, 8, 1);
  const Words digits{"--dataset", "digits", "--batch-size", "500", "--json", "r.json"};
  EXPECT_TRUE(succeeds(run_program(Words{"eval", "tiny.h5", "--amp-dtype", "bf16"} + digits)));
  EXPECT_EQ(read_json("r.json").at("options").at("amp-dtype"), "bfloat16");
  EXPECT_TRUE(succeeds(run_program({"predict", "tiny.h5", "x.png", "--amp-dtype", "fp32"})));
  EXPECT_TRUE(succeeds(run_program({"export", "tiny.h5", "x.onnx", "--dtype", "fp16"})));
  EXPECT_TRUE(fails_with_one_line(
      run_program(Words{"eval", "tiny.h5", "--amp-dtype", "fp16"} + digits), 2,
      {"--amp-dtype: expected one of auto, float32 (fp32), bfloat16 (bf16), int8", "'fp16'"}));
}

TEST_F(Advice, DataInfoShowsTheSplitsThereAre) {
  write_photos("photos/val", 2);
  const auto info = run_program({"data", "info", "--data-dir", "photos"});
  ASSERT_TRUE(succeeds(info));
  EXPECT_THAT(info.output, HasSubstr("split val: 4 images, 2 classes"));
  EXPECT_THAT(info.error, HasSubstr("expected a subfolder for split 'train', found val"));
  const Words named{"data", "info", "--data-dir", "photos", "--train-split", "fold"};
  EXPECT_TRUE(ends_with_one_error(run_program(named), 1, {"split 'fold', found val"}));
  fs::rename("photos/val", "photos/fold");
  const auto alone = run_program(named);
  ASSERT_TRUE(succeeds(alone));
  EXPECT_THAT(alone.error, HasSubstr("every 10th image of a class is held out as val"));
}

}  // namespace
}  // namespace softmoe::test
