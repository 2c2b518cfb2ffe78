/// Checkpoints that real users have, in the commands that read models.

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoints/convert/family_weights.h"
#include "checkpoints/formats/safetensors.h"
#include "cli/tiny.h"
#include "io/atomic_file.h"
#include "io/npz.h"
#include "support/temporary_folder.h"
#include "vit/small_models.h"

namespace softmoe::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class HostileCheckpoint : public testing::Test {
 protected:
  void SetUp() override {
    write_tiny_checkpoint(path("tiny.h5"));
    write_random_png(path("image.png"), 9, 11, /*seed=*/1);
  }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  ProgramRun predict(const std::string& checkpoint) const {
    return run_program(
        {"predict", "--checkpoint", path(checkpoint), path("image.png"), "--threads", "1"});
  }

  const TemporaryFolder folder_;
};

TEST_F(HostileCheckpoint, TensorsBesideTheModelAreLeftOutByEveryCommand) {
  ASSERT_TRUE(succeeds(run_program({"convert", path("tiny.h5"), path("plain.safetensors")})));
  NamedTensors file{{"callbacks.a.mean", torch::ones({3})},
                    {"callbacks.b.mean", torch::ones({3})},
                    {"loss", torch::ones({})}};
  for (const auto& [name, tensor] : read_safetensors(path("plain.safetensors"))) {
    file["state_dict.module." + name] = tensor;
  }
  write_safetensors(path("more.safetensors"), file);
  const Words lines{"family ours, after 'state_dict.module.'",
                    "left out: 2 tensors of callbacks.*, loss", "assumed: --"};
  const auto says = [&](const ProgramRun& run, const std::string& text) {
    EXPECT_TRUE(succeeds(run));
    for (const auto& line : lines) {
      EXPECT_THAT(text, HasSubstr(line));
    }
  };
  const auto predicted = predict("more.safetensors");
  says(predicted, predicted.error);
  const auto exported = run_program({"export", path("more.safetensors"), path("model.onnx")});
  says(exported, exported.error);
  const auto converted = run_program({"convert", path("more.safetensors"), path("back.h5")});
  says(converted, converted.output);
}

TEST_F(HostileCheckpoint, AnNpzKeepsLabelsAndPixels) {
  ASSERT_TRUE(succeeds(run_program({"convert", path("tiny.h5"), path("tiny.npz")})));
  const auto native = predict("tiny.h5");
  const auto run = predict("tiny.npz");
  ASSERT_TRUE(succeeds(run));
  EXPECT_EQ(run.output, native.output);
  EXPECT_THAT(run.error, Not(HasSubstr("assumed")));
}

TEST_F(HostileCheckpoint, FilesThatAreNoneAreNamedInOneLine) {
  const auto whole = read_text_file(path("tiny.h5"));
  write_text_file(path("empty.h5"), "");
  write_text_file(path("front.h5"), whole.substr(0, 9));
  write_text_file(path("half.h5"), whole.substr(0, whole.size() / 2));
  write_text_file(path("text.h5"), "hello\n");
  std::filesystem::create_directory(path("folder.h5"));
  ASSERT_EQ(::mkfifo(path("pipe.h5").c_str(), 0600), 0);
  const std::string long_name(300, 'n');
  for (const auto& [name, found] :
       {std::pair<std::string, std::string>{"empty.h5", "an empty file"},
        {"front.h5", "truncated"},
        {"half.h5", "truncated"},
        {"text.h5", "a text file"},
        {"folder.h5", "none of them"},
        {"pipe.h5", "no ordinary file"},
        {"none.h5", "No such file"},
        {"tiny.h5/x", "Not a directory"},
        {long_name, "File name too long"}}) {
    const auto run = predict(name);
    EXPECT_TRUE(fails_with_one_line(run, 1, {path(name), found}));
    EXPECT_THAT(run.error, AllOf(Not(HasSubstr("filesystem")), Not(HasSubstr("H5"))));
  }
}

}  // namespace
}  // namespace softmoe::test
