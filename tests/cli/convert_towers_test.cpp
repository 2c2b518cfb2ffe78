/// Models of images and texts in and out, by the program as a user runs it.

#include <gmock/gmock.h>

#include "checkpoints/formats/safetensors.h"
#include "checkpoints/image_text_checkpoint.h"
#include "checkpoints/module_tensors.h"
#include "cli/tiny.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"

namespace softmoe::test {
namespace {

using testing::HasSubstr;

ProgramRun convert_both(const std::filesystem::path& from, const std::filesystem::path& to,
                        const Words& more = {}) {
  return run_program(
      Words{"convert", from.string(), to.string(), "--towers", "both", "--threads", "1"} + more);
}

const std::filesystem::path kClip =
    std::filesystem::path(SOFTMOE_FIXTURES) / "image_text" / "hf_clip";

TEST(ConvertTowers, GoesThroughANativeCheckpointBackToTheSameFile) {
  const TemporaryFolder folder;
  const auto there = convert_both(kClip, folder / "clip.h5");
  ASSERT_TRUE(succeeds(there));
  EXPECT_THAT(there.output, HasSubstr("family hf_clip"));
  EXPECT_THAT(there.output, HasSubstr("texts of 9 tokens of 37, width 16, 3 blocks"));
  EXPECT_TRUE(is_image_text_checkpoint(folder / "clip.h5"));
  ASSERT_TRUE(succeeds(convert_both(folder / "clip.h5", folder / "back" / "model.safetensors",
                                    {"--names", "huggingface"})));
  const auto original = read_safetensors(kClip / "model.safetensors");
  const auto back = read_safetensors(folder / "back" / "model.safetensors");
  EXPECT_EQ(back.size(), original.size());
  for (const auto& [name, tensor] : original) {
    ASSERT_TRUE(back.contains(name)) << name;
    EXPECT_TRUE(same_bits(back.at(name), tensor)) << name;
  }
  EXPECT_EQ(load_image_text(folder / "back").description.options,
            load_image_text(kClip).description.options);
}

TEST(ConvertTowers, WritesTheNamesOfTheOtherLibrary) {
  const TemporaryFolder folder;
  ASSERT_TRUE(succeeds(
      convert_both(kClip, folder / "open_clip_model.safetensors", {"--names", "open_clip"})));
  const auto theirs = load_image_text(folder.path());
  const auto ours = load_image_text(kClip);
  const auto weights = named_tensors(*theirs.model);
  for (const auto& [name, tensor] : named_tensors(*ours.model)) {
    EXPECT_TRUE(same_bits(weights.at(name), tensor)) << name;
  }
}

TEST(ExportTowers, WritesEachTowerAsOnnx) {
  const TemporaryFolder folder;
  for (const std::string tower : {"image", "text"}) {
    const auto file = folder / (tower + ".onnx");
    ASSERT_TRUE(succeeds(run_program(
        {"export", kClip.string(), file.string(), "--tower", tower, "--threads", "1"})));
    EXPECT_TRUE(std::filesystem::exists(file));
  }
  const auto run = run_program(
      {"export", kClip.string(), (folder / "a.safetensors").string(), "--tower", "text"});
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.error, HasSubstr("--tower is for ONNX models"));
}

TEST(ConvertTowers, RefusesWhatItCannotDo) {
  const TemporaryFolder folder;
  const auto error_of = [&](const char* to, const Words& more) {
    const auto run = convert_both(kClip, folder / to, more);
    EXPECT_EQ(run.exit_code, 2);
    return run.error;
  };
  EXPECT_THAT(error_of("a.npz", {}), HasSubstr("hdf5 or safetensors"));
  EXPECT_THAT(error_of("a.h5", {"--names", "open_clip"}), HasSubstr("ours in a native checkpoint"));
  EXPECT_THAT(error_of("a.safetensors", {"--names", "timm"}), HasSubstr("huggingface, open_clip"));
  EXPECT_THAT(error_of("a.h5", {"--num-classes", "0"}), HasSubstr("--num-classes"));
}

}  // namespace
}  // namespace softmoe::test
