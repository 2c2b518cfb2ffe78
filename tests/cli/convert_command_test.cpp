/// Weights of other libraries in and out, by the program as a user runs it.

#include <gmock/gmock.h>

#include "checkpoints/formats/safetensors.h"
#include "checkpoints/model_checkpoint.h"
#include "cli/tiny.h"
#include "io/atomic_file.h"
#include "io/npz.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"
#include "vit/small_models.h"

namespace softmoe::test {
namespace {

using testing::AnyOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

/// A dense model of seven classes with mean pooling.
void write_dense_checkpoint(
    const std::filesystem::path& file,
    const std::function<void(VitOptions&)>& change = [](VitOptions&) {}) {
  auto options = small_options();
  options.img_size = {8};
  options.patch_size = 2;
  change(options);
  ModelDescription description;
  description.name = "small";
  description.options = options;
  description.class_names = {"ant", "bee", "cow", "dog", "eel", "fox", "gnu"};
  description.preprocess = default_preprocess(options);
  Checkpoint checkpoint;
  checkpoint.metadata = to_metadata(description);
  checkpoint.model = named_tensors(*lively_model(options));
  save_checkpoint(file, checkpoint);
}

class Convert : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  static ProgramRun convert(const std::string& from, const std::string& to,
                            const Words& more = {}) {
    return run_program(Words{"convert", from, to, "--threads", "1"} + more);
  }

  /// What `checkpoint` makes of `images` [n, height, width, channels].
  NamedTensors predict(const std::string& checkpoint, const torch::Tensor& images,
                       const std::string& what = "logits,features") const {
    write_npz(path("images.npz"), {{"images", images}});
    const auto run =
        run_program({"predict", "--checkpoint", checkpoint, "--images", path("images.npz"),
                     "--output", path("outputs.npz"), "--what", what, "--threads", "1"});
    EXPECT_TRUE(succeeds(run));
    return read_npz(path("outputs.npz"));
  }

  const TemporaryFolder folder_;
};

TEST_F(Convert, TakesTheReferencesModelsWithTheirOutputs) {
  for (const std::string kind : {"soft", "dense"}) {
    const auto file = fixture("vmoe/tiny_vit_" + kind + "_gap.npz").string();
    ASSERT_TRUE(succeeds(convert(file, path("model.h5"), {"--json", path("convert.json")})));
    const auto json = read_json(path("convert.json"));
    EXPECT_EQ(json.at("family"), "vmoe");
    EXPECT_EQ(json.at("prefix"), "params/");
    EXPECT_EQ(json.at("model").at("heads"), 4);
    EXPECT_EQ(json.at("model").at("gelu"), "tanh");
    const auto arrays = read_npz(file);
    const auto outputs = predict(path("model.h5"), arrays.at("images"));
    EXPECT_TRUE(all_close(outputs.at("logits"), arrays.at("fp32/logits")));
    EXPECT_TRUE(all_close(outputs.at("features"), arrays.at("fp32/features")));

    // And back, whatever lies between.
    ASSERT_TRUE(succeeds(convert(path("model.h5"), path("model.safetensors"))));
    ASSERT_TRUE(succeeds(convert(path("model.safetensors"), path("again.h5"))));
    ASSERT_TRUE(succeeds(convert(path("again.h5"), path("model.npz"), {"--names", "vmoe"})));
    const auto back = read_npz(path("model.npz"));
    size_t parameters = 0;
    for (const auto& [name, tensor] : arrays) {
      if (name.starts_with("params/")) {
        ++parameters;
        ASSERT_TRUE(back.contains(name.substr(7))) << name;
        EXPECT_TRUE(same_bits(back.at(name.substr(7)), tensor)) << name;
      }
    }
    EXPECT_EQ(back.size(), parameters);
  }
}

TEST_F(Convert, ReplacesNoFileThatItReads) {
  const auto model = path("model.h5");
  ASSERT_TRUE(succeeds(convert(fixture("vmoe/tiny_vit_dense_gap.npz").string(), model)));
  const auto bytes = read_text_file(model);
  std::filesystem::create_symlink("model.h5", path("link.h5"));
  for (const auto& output : {model, path("link.h5"), path("./model.h5")}) {
    for (const auto* command : {"convert", "upcycle"}) {
      EXPECT_TRUE(
          fails_with_one_line(run_program({command, model, output}), 2,
                              {"OUTPUT " + output, "another file than that of CHECKPOINT"}));
    }
  }
  EXPECT_EQ(read_text_file(model), bytes);
}

TEST_F(Convert, SaysWhatItFoundAndChose) {
  const auto run = convert(fixture("vmoe/tiny_vit_soft_gap.npz").string(), path("model.h5"));
  ASSERT_TRUE(succeeds(run));
  EXPECT_THAT(run.output, HasSubstr("npz, family vmoe, after 'params/'"));
  EXPECT_THAT(run.output, HasSubstr("assumed: --prefix 'params/' (of models after "));
  EXPECT_THAT(run.output, HasSubstr("--dispatch-dtype float32 (routing is not in the weights)"));
  EXPECT_THAT(run.output, HasSubstr("--gelu tanh, --norm-eps 1e-06, --mean 0.5, --std 0.5, "
                                    "--interpolation bilinear, --crop-pct 1 (family vmoe)"));
  EXPECT_THAT(run.output, HasSubstr("32x32 px, patches of 8, 4 heads"));
  // What the user says is no assumption.
  const auto told = convert(fixture("vmoe/tiny_vit_soft_gap.npz").string(), path("told.h5"),
                            {"--gelu", "exact", "--router-eps", "1e-5"});
  EXPECT_THAT(told.output, HasSubstr("--norm-eps 1e-06, --mean 0.5"));
  EXPECT_THAT(told.output, Not(AnyOf(HasSubstr("--gelu"), HasSubstr("--router-eps"))));
  EXPECT_THAT(run.output, HasSubstr("mean 0.5, std 0.5"));
}

TEST_F(Convert, ChangesSizesOnTheWay) {
  const auto file = fixture("vmoe/tiny_vit_dense_gap.npz").string();
  write_text_file(path("names.txt"), "ant\nbee\r\ncow\n");
  ASSERT_TRUE(succeeds(convert(file, path("model.h5"),
                               {"--img-size", "20", "30", "--patch-size", "10", "--in-chans", "1",
                                "--num-classes", "3", "--class-names", path("names.txt"),
                                "--resize-mode", "bicubic", "--json", path("convert.json")})));
  EXPECT_THAT(read_json(path("convert.json")).at("fresh").get<Words>(),
              ElementsAre("head.weight", "head.bias"));
  const auto loaded = load_model(path("model.h5"));
  const auto& options = loaded.description.options;
  EXPECT_EQ(options.img_size, (std::vector<int64_t>{20, 30}));
  EXPECT_EQ(options.patch_size, 10);
  EXPECT_THAT(loaded.description.class_names, ElementsAre("ant", "bee", "cow"));
  const auto outputs = predict(path("model.h5"), torch::rand({2, 20, 30, 1}));
  EXPECT_EQ(outputs.at("logits").sizes(), (std::vector<int64_t>{2, 3}));

  // No head at all, and options of one's own.
  ASSERT_TRUE(succeeds(convert(file, path("features.h5"),
                               {"--num-classes", "0", "--gelu", "exact", "--norm-eps", "1e-5",
                                "--mean", "0.25", "--interpolation", "bicubic"})));
  const auto features = load_model(path("features.h5")).description;
  EXPECT_EQ(features.options.num_classes, 0);
  EXPECT_EQ(features.options.gelu, Activation::kGeluExact);
  EXPECT_EQ(features.options.norm_eps, 1e-5);
  EXPECT_EQ(features.preprocess.value().mean, std::vector<double>{0.25});
  EXPECT_EQ(features.preprocess.value().interpolation, Interpolation::kBicubic);
}

TEST_F(Convert, StoresHowPositionsAreResized) {
  write_dense_checkpoint(path("tiny.h5"));
  ASSERT_TRUE(succeeds(convert(path("tiny.h5"), path("timm.npz"), {"--names", "timm"})));
  write_npz(path("timm.npz"), read_npz(path("timm.npz")));  // as timm's users write it
  ASSERT_TRUE(succeeds(convert(path("timm.npz"), path("same.h5"))));
  EXPECT_EQ(load_metadata(path("same.h5")).at("resize_mode"), "bicubic_antialias");
  // Later, through whatever files, positions go as they would have gone at once.
  const auto positions = [this](const std::string& from, const Words& more = {}) {
    EXPECT_TRUE(succeeds(convert(from, path("larger.h5"), Words{"--img-size", "12"} + more)));
    return load_checkpoint(path("larger.h5")).model.at("pos_embed");
  };
  const auto at_once = positions(path("timm.npz"));
  EXPECT_TRUE(same_bits(positions(path("same.h5")), at_once));
  ASSERT_TRUE(succeeds(convert(path("same.h5"), path("same.safetensors"))));
  EXPECT_TRUE(same_bits(positions(path("same.safetensors")), at_once));
  EXPECT_FALSE(torch::equal(positions(path("same.h5"), {"--resize-mode", "bilinear"}), at_once));
  EXPECT_EQ(load_metadata(path("larger.h5")).at("resize_mode"), "bilinear");

  auto checkpoint = load_checkpoint(path("same.h5"));
  checkpoint.metadata["resize_mode"] = "cubic";
  save_checkpoint(path("cubic.h5"), checkpoint);
  EXPECT_TRUE(fails_with_one_line(convert(path("cubic.h5"), path("out.h5")), 1,
                                  {path("cubic.h5"), "resize_mode", "bicubic", "'cubic'"}));
}

TEST_F(Convert, LeavesOutTheHeadOfATokenThatItLeavesOut) {
  write_dense_checkpoint(path("deit.h5"), [](VitOptions& options) {
    options.class_token = options.dist_token = true;
    options.global_pool = GlobalPool::kToken;
  });
  for (const Words& pool : {Words{}, Words{"--global-pool", "avg"}}) {
    const auto run = convert(path("deit.h5"), path("model.h5"), Words{"--no-dist-token"} + pool);
    ASSERT_TRUE(succeeds(run));
    EXPECT_THAT(run.output, HasSubstr("changed head_dist: left out with its token"));
    const auto head = load_checkpoint(path("deit.h5")).model;
    const auto outputs = predict(path("model.h5"), torch::rand({2, 8, 8, 3}));
    const auto expected =
        torch::linear(outputs.at("features"), head.at("head.weight"), head.at("head.bias"));
    EXPECT_TRUE(all_close(outputs.at("logits"), expected));
  }
}

TEST_F(Convert, RefusesPoolingThatTheReaderDoesNotHave) {
  write_dense_checkpoint(path("tiny.h5"), [](VitOptions& options) { options.class_token = true; });
  EXPECT_TRUE(fails_with_one_line(
      convert(path("tiny.h5"), path("hf.safetensors"), {"--names", "huggingface"}), 1,
      {"global-pool: expected token", "hf_vit", "found avg"}));
  EXPECT_FALSE(std::filesystem::exists(path("hf.safetensors")));
}

TEST_F(Convert, WritesTheNamesOfOthers) {
  write_dense_checkpoint(path("tiny.h5"));
  ASSERT_TRUE(succeeds(convert(path("tiny.h5"), path("model.safetensors"), {"--names", "timm"})));
  EXPECT_TRUE(read_json(path("config.json")).contains("architecture"));
  const auto run = convert(path("tiny.h5"), path("hf/model.safetensors"),
                           {"--names", "huggingface", "--json", path("convert.json")});
  ASSERT_TRUE(succeeds(run));
  EXPECT_TRUE(read_safetensors(path("hf/model.safetensors")).contains("classifier.weight"));
  EXPECT_EQ(read_json(path("hf/config.json")).at("id2label").at("3"), "dog");
  const Words configs{path("hf/config.json"), path("hf/preprocessor_config.json")};
  EXPECT_EQ(read_json(path("convert.json")).at("config_files").get<Words>(), configs);
  EXPECT_THAT(run.output, HasSubstr("with " + configs[0] + ", " + configs[1] + "\n"));
  ASSERT_TRUE(
      succeeds(convert(path("tiny.h5"), path("scan.npz"), {"--names", "big_vision_scanned"})));
  EXPECT_TRUE(read_npz(path("scan.npz")).contains("Transformer/encoderblock/LayerNorm_0/scale"));
  ASSERT_TRUE(succeeds(convert(path("scan.npz"), path("back.h5"), {"--heads", "2"})));
  const auto original = load_checkpoint(path("tiny.h5")).model;
  const auto back = load_checkpoint(path("back.h5")).model;
  ASSERT_EQ(back.size(), original.size());
  for (const auto& [name, tensor] : original) {
    EXPECT_TRUE(same_bits(back.at(name), tensor)) << name;
  }
}

TEST_F(Convert, OverwritesNoConfigOfAnotherModel) {
  const Words timm{"--names", "timm"};
  const Words huggingface{"--names", "huggingface"};
  write_dense_checkpoint(path("tiny.h5"));
  ASSERT_TRUE(succeeds(convert(path("tiny.h5"), path("model.safetensors"), timm)));
  const auto config = read_text_file(path("config.json"));
  // That of the source, and that of a neighbour.
  EXPECT_TRUE(fails_with_one_line(
      convert(path("model.safetensors"), path("other.safetensors"), huggingface), 1,
      {path("config.json"), "belongs to " + path("model.safetensors")}));
  EXPECT_TRUE(fails_with_one_line(convert(path("tiny.h5"), path("other.safetensors"), timm), 1,
                                  {path("config.json"), "another model"}));
  EXPECT_FALSE(std::filesystem::exists(path("other.safetensors")));
  EXPECT_FALSE(std::filesystem::exists(path("preprocessor_config.json")));
  EXPECT_EQ(read_text_file(path("config.json")), config);
  // A conversion may be repeated.
  ASSERT_TRUE(succeeds(
      convert(path("tiny.h5"), path("model.safetensors"), timm + Words{"--num-classes", "3"})));
  EXPECT_EQ(read_json(path("config.json")).at("num_classes"), 3);
}

TEST_F(Convert, WritesAllFilesOrNone) {
  write_dense_checkpoint(path("tiny.h5"));
  std::filesystem::create_directories(path("folder.json"));
  const auto out = path("out/model.safetensors");
  EXPECT_TRUE(fails_with_one_line(
      convert(path("tiny.h5"), out, {"--names", "huggingface", "--json", path("folder.json")}), 1,
      {path("folder.json")}));
  EXPECT_FALSE(std::filesystem::exists(path("out")));
  // The last of the files cannot be written.
  ASSERT_TRUE(succeeds(convert(path("tiny.h5"), out, {"--names", "huggingface"})));
  const auto before = read_text_file(out);
  const auto config = read_text_file(path("out/config.json"));
  std::filesystem::remove(path("out/preprocessor_config.json"));
  std::filesystem::create_directories(path("out/preprocessor_config.json"));
  EXPECT_TRUE(fails_with_one_line(
      convert(path("tiny.h5"), out,
              {"--names", "huggingface", "--num-classes", "3", "--json", path("convert.json")}),
      1, {path("out/preprocessor_config.json")}));
  EXPECT_EQ(read_text_file(out), before);
  EXPECT_EQ(read_text_file(path("out/config.json")), config);
  EXPECT_FALSE(std::filesystem::exists(path("convert.json")));
}

TEST_F(Convert, RefusesPreprocessingThatTheModelCannotTake) {
  const auto file = fixture("vmoe/tiny_vit_dense_gap.npz").string();
  const auto refuses = [&](const Words& flags, const Words& parts) {
    EXPECT_TRUE(fails_with_one_line(convert(file, path("out.h5"), flags), 2, parts));
  };
  refuses({"--mean", "0.1", "0.2"}, {"--mean", "one value or 3", "2 values"});
  refuses({"--std", "1", "2", "3", "4"}, {"--std", "one value or 3", "4 values"});
  refuses({"--in-chans", "1", "--mean", "0.1", "0.2", "0.3"}, {"--mean", "one value", "3 values"});
  refuses({"--input-size", "3", "100", "100"}, {"--input-size", "3 32 32", "3 100 100"});
  refuses({"--std", "0"}, {"--std", "at least 1e-09", "0"});
  refuses({"--std", "-1"}, {"--std", "at least 1e-09", "-1"});
  refuses({"--std", "nan"}, {"--std", "a finite number", "nan"});
  refuses({"--mean", "inf"}, {"--mean", "a finite number", "inf"});
  refuses({"--norm-eps", "inf"}, {"--norm-eps", "a finite number", "inf"});
  EXPECT_FALSE(std::filesystem::exists(path("out.h5")));
  ASSERT_TRUE(
      succeeds(convert(file, path("out.h5"),
                       {"--in-chans", "1", "--mean", "0.25", "--input-size", "1", "32", "32"})));
  // Of a model with another number of channels, values that were stored give way, which is said.
  ASSERT_TRUE(succeeds(convert(file, path("three.h5"), {"--mean", "0.1", "0.2", "0.3"})));
  const auto run = convert(path("three.h5"), path("one.h5"), {"--in-chans", "1"});
  ASSERT_TRUE(succeeds(run));
  EXPECT_THAT(run.output, HasSubstr("changed mean: 3 values to 0.5 for 1 channels"));
}

TEST_F(Convert, NamesTheFileWithBadPreprocessing) {
  write_dense_checkpoint(path("tiny.h5"));
  auto checkpoint = load_checkpoint(path("tiny.h5"));
  write_npz(path("images.npz"), {{"images", torch::rand({2, 8, 8, 3})}});
  for (const auto& [name, value] :
       {std::pair<const char*, Json>{"std", {0.0}}, {"std", {0.5, 0.5}}, {"mean", Json::array()}}) {
    checkpoint.metadata["preprocess"] = {{"input-size", {3, 8, 8}}, {name, value}};
    const auto bad = path("bad.h5");
    save_checkpoint(bad, checkpoint);
    EXPECT_TRUE(fails_with_one_line(
        run_program({"predict", "--checkpoint", bad, "--images", path("images.npz")}), 1,
        {bad, name}));
    EXPECT_TRUE(fails_with_one_line(run_program({"export", bad, path("out.onnx"), "--preprocess"}),
                                    1, {bad, name}));
  }
  EXPECT_FALSE(std::filesystem::exists(path("out.onnx")));
}

TEST_F(Convert, TakesNoHintsThatAFileContradicts) {
  write_dense_checkpoint(path("tiny.h5"));
  ASSERT_TRUE(succeeds(convert(path("tiny.h5"), path("tiny.safetensors"))));
  ASSERT_TRUE(succeeds(convert(path("tiny.h5"), path("timm.npz"), {"--names", "timm"})));
  write_npz(path("timm.npz"), read_npz(path("timm.npz")));  // as timm's users write it
  for (const std::string name : {"tiny.h5", "tiny.safetensors"}) {
    const auto refuses = [&](const Words& flags, const Words& parts) {
      EXPECT_TRUE(fails_with_one_line(convert(path(name), path("out.h5"), flags), 2,
                                      Words{path(name)} + flags + parts));
    };
    refuses({"--family", "hf_vit"}, {"as the file itself says"});
    refuses({"--prefix", "model."}, {"none"});
    refuses({"--leave-out", "head.*"}, {"none"});
    refuses({"--from-img-size", "100"}, {"8 8"});
    EXPECT_TRUE(succeeds(convert(path(name), path("same.h5"), {"--from-img-size", "8"})));
  }
  EXPECT_TRUE(fails_with_one_line(
      convert(path("timm.npz"), path("out.h5"), {"--from-img-size", "100"}), 2,
      {path("timm.npz"), "--from-img-size", "a multiple of 2 px", "16 positions", "100"}));
  EXPECT_TRUE(fails_with_one_line(
      convert(path("timm.npz"), path("out.h5"), {"--from-img-size", "9"}), 2, {"9"}));
  EXPECT_FALSE(std::filesystem::exists(path("out.h5")));
  ASSERT_TRUE(succeeds(convert(path("timm.npz"), path("wide.h5"), {"--from-img-size", "4", "16"})));
  EXPECT_EQ(load_metadata(path("wide.h5")).at("model").at("img-size"), Json({4, 16}));
}

TEST_F(Convert, WritesNothingWhereTensorsDoNotFit) {
  const auto fixture_file = fixture("vmoe/tiny_vit_dense_gap.npz").string();
  NamedTensors weights;
  for (const auto& [name, tensor] : read_npz(fixture_file)) {
    if (name.starts_with("params/")) {
      weights[name] = tensor;
    }
  }
  weights["params/Encoder/decoder/kernel"] = torch::ones({2});
  write_npz(path("strange.npz"), weights);
  EXPECT_TRUE(fails_with_one_line(convert(path("strange.npz"), path("out.h5")), 1,
                                  {"strange.npz", "no counterpart of Encoder/decoder/kernel"}));
  EXPECT_TRUE(
      fails_with_one_line(convert(path("strange.npz"), path("out.h5"), {"--leave-out", "encoder*"}),
                          2, {"--leave-out", "strange.npz", "encoder*"}));
  const auto without =
      convert(path("strange.npz"), path("without.h5"), {"--leave-out", "*decoder*"});
  EXPECT_TRUE(succeeds(without));
  EXPECT_THAT(without.output, HasSubstr("left out: params/Encoder/decoder/kernel"));
  weights.erase("params/Encoder/decoder/kernel");
  weights.erase("params/Encoder/encoder_norm/scale");
  weights["params/Encoder/encoderblock_1/LayerNorm_0/bias"] = torch::ones({3});
  write_npz(path("torn.npz"), weights);
  EXPECT_TRUE(
      fails_with_one_line(convert(path("torn.npz"), path("out.h5")), 1,
                          {"torn.npz", "missing Encoder/encoder_norm/scale",
                           "Encoder/encoderblock_1/LayerNorm_0/bias", "[3] (the model has [64])"}));
  EXPECT_TRUE(fails_with_one_line(
      convert(fixture_file, path("out.safetensors"), {"--names", "huggingface"}), 1,
      {"no counterpart of", "q_norm"}));
  EXPECT_TRUE(fails_with_one_line(convert(fixture_file, path("out.h5"), {"--img-size", "33"}), 2,
                                  {"img-size", "multiple of patch-size 8", "33"}));
  EXPECT_TRUE(fails_with_one_line(convert(path("none.npz"), path("out.h5")), 1, {"none.npz"}));
  EXPECT_FALSE(std::filesystem::exists(path("out.h5")));
  EXPECT_FALSE(std::filesystem::exists(path("out.safetensors")));
}

TEST_F(Convert, WantsTwoFilesOfKnownKinds) {
  const auto file = fixture("vmoe/tiny_vit_dense_gap.npz").string();
  EXPECT_TRUE(fails_with_one_line(convert(file, path("model.bin")), 2, {"OUTPUT", ".safetensors"}));
  EXPECT_TRUE(
      fails_with_one_line(run_program({"convert", file}), 2, {"OUTPUT (--output) is missing"}));
  EXPECT_TRUE(fails_with_one_line(convert(file, path("a.h5"), {"--names", "timm"}), 2,
                                  {"--names", "native checkpoint"}));
  EXPECT_TRUE(fails_with_one_line(convert(file, path("a.h5"), {"--names", "keras"}), 2,
                                  {"names", "keras"}));
  EXPECT_TRUE(succeeds(convert(file, path("model.bin"), {"--format", "npz"})));
}

}  // namespace
}  // namespace softmoe::test
