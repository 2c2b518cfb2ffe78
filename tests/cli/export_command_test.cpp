/// Exported models, by the program as a user runs it.

#include <gmock/gmock.h>

#include "cli/tiny.h"
#include "io/npz.h"
#include "support/peers.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"

namespace softmoe::test {
namespace {

using testing::HasSubstr;

class Export : public testing::Test {
 protected:
  void SetUp() override { write_tiny_checkpoint(path("tiny.h5")); }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  ProgramRun run(const Words& more) const {
    return run_program(Words{"export", "--threads", "1"} + more);
  }

  TemporaryFolder folder_;
};

TEST_F(Export, GivesWhatPredictGivesForPixels) {
  torch::manual_seed(2);
  const auto pixels = torch::randint(0, 256, {5, 8, 8, 1}, torch::kUInt8);
  write_npz(path("pixels.npz"), {{"images", pixels}});
  ASSERT_TRUE(succeeds(
      run_program({"predict", "--checkpoint", path("tiny.h5"), "--images", path("pixels.npz"),
                   "--output", path("logits.npz"), "--what", "logits", "--threads", "1"})));
  const auto exported = run(
      {path("tiny.h5"), path("models/tiny.onnx"), "--preprocess", "--json", path("export.json")});
  ASSERT_TRUE(succeeds(exported));
  EXPECT_THAT(exported.output, HasSubstr("models/tiny.onnx: "));
  EXPECT_EQ(read_json(path("export.json")).at("output"), path("models/tiny.onnx"));
  write_npz(path("models/tiny.npz"),
            {{"images_5", pixels}, {"logits_5", read_npz(path("logits.npz")).at("logits")}});
  if (!peers_python()) {
    GTEST_SKIP() << kNoPeers;
  }
  const auto compared = run_peer("onnx/onnx_runtimes.py", {path("models")});
  ASSERT_EQ(compared.exit_code, 0) << compared.error;
  const auto result = Json::parse(compared.output).at("tiny");
  for (const char* runtime : {"onnxruntime", "openvino"}) {
    EXPECT_LE(result.at(runtime).at("logits_5").get<double>(), 1e-5) << result;
  }
}

TEST_F(Export, WritesWeightsBesideTheModel) {
  ASSERT_TRUE(succeeds(
      run({path("tiny.h5"), path("a.onnx"), "--external-data", "always", "--dtype", "bfloat16"})));
  EXPECT_TRUE(std::filesystem::exists(path("a.onnx.data")));
}

TEST_F(Export, WritesSafetensorsThatPredictTheSame) {
  const auto logits = [&](const std::string& checkpoint) {
    torch::manual_seed(2);
    write_npz(path("pixels.npz"),
              {{"images", torch::randint(0, 256, {5, 8, 8, 1}, torch::kUInt8)}});
    const auto run =
        run_program({"predict", "--checkpoint", checkpoint, "--images", path("pixels.npz"),
                     "--output", path("logits.npz"), "--what", "logits", "--threads", "1"});
    EXPECT_TRUE(succeeds(run));
    return read_npz(path("logits.npz")).at("logits");  // [images, classes]
  };
  ASSERT_TRUE(succeeds(run({path("tiny.h5"), path("tiny.safetensors")})));
  ASSERT_TRUE(succeeds(
      run_program({"convert", path("tiny.safetensors"), path("back.h5"), "--threads", "1"})));
  EXPECT_TRUE(same_bits(logits(path("back.h5")), logits(path("tiny.h5"))));
}

TEST_F(Export, WritesAnUntrainedModelOfTheZoo) {
  const auto out = path("vit.safetensors");
  ASSERT_TRUE(succeeds(run({"vit_ti16", out, "--untrained"})));
  ASSERT_TRUE(succeeds(run_program({"convert", out, path("vit.h5"), "--threads", "1"})));
  EXPECT_TRUE(fails_with_one_line(run({"vit_x16", out, "--untrained"}), 2, {"vit_x16"}));
  EXPECT_TRUE(fails_with_one_line(run({"vit_ti16", out}), 1, {"vit_ti16"}));
}

TEST_F(Export, FailsWithOneLine) {
  const auto model = path("tiny.h5");
  const auto out = path("out.onnx");
  EXPECT_TRUE(fails_with_one_line(run({model}), 2, {"OUTPUT (--output) is missing"}));
  EXPECT_TRUE(fails_with_one_line(run({model, out, "--opset", "12"}), 2, {"--opset", "[13, 22]"}));
  EXPECT_TRUE(fails_with_one_line(run({model, out, "--dtype", "int8"}), 2, {"--dtype", "int8"}));
  EXPECT_TRUE(fails_with_one_line(run({model, path("out.pt")}), 2, {".onnx", "out.pt"}));
  EXPECT_TRUE(fails_with_one_line(run({model, path("x.safetensors"), "--opset", "17"}), 2,
                                  {"--opset", "safetensors"}));
  EXPECT_TRUE(fails_with_one_line(run({path("none.h5"), out}), 1, {"none.h5"}));
  EXPECT_TRUE(fails_with_one_line(run({model, "/dev/null/x.onnx"}), 1, {"/dev/null/x.onnx"}));
  write_tiny_checkpoint(path("base.h5"), {}, "base");
  EXPECT_TRUE(fails_with_one_line(run({path("base.h5"), out}), 2, {"router", "'base'"}));
  EXPECT_FALSE(std::filesystem::exists(out));
}

}  // namespace
}  // namespace softmoe::test
