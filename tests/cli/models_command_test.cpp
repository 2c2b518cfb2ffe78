/// Parts of the zoo's models as flags of `softmoe models` and `softmoe benchmark`.

#include <gmock/gmock.h>

#include "cli/tiny.h"
#include "core/options.h"
#include "io/atomic_file.h"
#include "support/temporary_folder.h"

namespace softmoe::test {
namespace {

using testing::HasSubstr;

class ModelsCommand : public testing::Test {
 protected:
  Json run_with_json(const Words& words) const {
    const auto file = (folder_ / "result.json").string();
    EXPECT_TRUE(succeeds(run_program(words + Words{"--json", file})));
    return Json::parse(read_text_file(file));
  }
  /// What `softmoe models` counts for one model.
  Json count(const Words& parts) const {
    return run_with_json(Words{"models", "--models", "softmoe_ti16_4e"} + parts).at("models")[0];
  }

  TemporaryFolder folder_;
};

TEST_F(ModelsCommand, ChangesEveryPartOfAModel) {
  const auto usual = count({});
  EXPECT_EQ(usual.at("classes"), 1000);
  const auto other = count({"--classes", "7", "--in-chans", "1", "--img-size", "32", "48"});
  EXPECT_EQ(other.at("classes"), 7);
  EXPECT_EQ(other.at("img_size"), (Json{32, 48}));
  EXPECT_EQ(other.at("parameters").get<int64_t>() - other.at("backbone_parameters").get<int64_t>(),
            7 * 192 + 7);
  EXPECT_LT(other.at("gflop").get<double>(), 0.1 * usual.at("gflop").get<double>());
  // Twelve blocks of which the last half has experts: half of six is left with --depth 6.
  EXPECT_LT(count({"--depth", "6"}).at("parameters").get<double>(),
            0.6 * usual.at("parameters").get<double>());
}

TEST_F(ModelsCommand, CountsTheMemoryOfTraining) {
  const auto memory = count({"--memory", "--batch-size", "4", "--opt", "sgd"}).at("memory");
  const auto parameters = count({}).at("parameters").get<int64_t>();
  EXPECT_EQ(memory.at("weights"), 4 * parameters);
  EXPECT_EQ(memory.at("optimizer"), 4 * parameters + 8);
  const auto larger = count({"--memory", "--batch-size", "8", "--opt", "sgd"}).at("memory");
  // Twice as much, but for a gradient of the head, which has one size.
  const auto twice = 2 * memory.at("activations").get<int64_t>();
  EXPECT_EQ(larger.at("activations").get<int64_t>(), twice - 4 * 192 * 1000);
  EXPECT_FALSE(count({}).contains("memory"));
}

TEST_F(ModelsCommand, CountsOtherRouters) {
  const auto gflop = [this](const std::string& top_k) {
    return count({"--router", "tokens_choice", "--top-k", top_k}).at("gflop").get<double>();
  };
  EXPECT_GT(gflop("2"), 1.1 * gflop("1"));
  EXPECT_LT(gflop("2"), 2 * gflop("1"));
}

TEST_F(ModelsCommand, ChangesAllModelsThatAreNamed) {
  const auto models =
      run_with_json({"models", "--models", "vit_ti16,vit_s16", "--mlp-dim", "100"}).at("models");
  const auto usual = run_with_json({"models", "--models", "vit_ti16,vit_s16"}).at("models");
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_LT(models[i].at("parameters"), usual[i].at("parameters")) << i;
  }
}

TEST_F(ModelsCommand, WritesDownThePartsThatWereGivenAlone) {
  const auto options =
      run_with_json({"models", "--models", "vit_ti16", "--qk-norm", "--heads", "2"}).at("options");
  EXPECT_EQ(options.at("qk-norm"), true);
  EXPECT_EQ(options.at("heads"), 2);
  EXPECT_FALSE(options.contains("dim"));
}

TEST_F(ModelsCommand, NamesTheModelWhosePartsContradictEachOther) {
  EXPECT_TRUE(fails_with_one_line(
      run_program({"models", "--models", "vit_s16", "vit_h14", "--img-size", "32"}), 2,
      {"vit_h14: img-size", "multiple of patch-size 14"}));
  EXPECT_TRUE(fails_with_one_line(run_program({"benchmark", "--models", "vit_s16", "--heads", "5"}),
                                  2, {"vit_s16: dim", "multiple of heads 5"}));
  EXPECT_TRUE(
      fails_with_one_line(run_program({"models", "--router", "nope"}), 2, {"nope", "soft"}));
}

TEST_F(ModelsCommand, BenchmarkTimesTheChangedModels) {
  const Words words{"benchmark",       "--models",
                    "vit_ti16",        "softmoe_ti16_4e",
                    "--router",        "tokens_choice",
                    "--top-k",         "2",
                    "--img-size",      "32",
                    "--classes",       "3",
                    "--batch-sizes",   "1",
                    "--rounds",        "2",
                    "--round-seconds", "0.01",
                    "--dtypes",        "float32"};
  const auto records = run_with_json(words + Words{"--labels", "dense,sparse"}).at("records");
  const auto counted =
      run_with_json({"models", "--models", "vit_ti16", "softmoe_ti16_4e", "--router",
                     "tokens_choice", "--top-k", "2", "--img-size", "32", "--classes", "3"})
          .at("models");
  ASSERT_EQ(records.size(), 2U);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(records[i].at("parameters"), counted[i].at("parameters"));
    EXPECT_EQ(records[i].at("gflop"), counted[i].at("gflop"));
  }
  EXPECT_EQ(records[1].at("model"), "softmoe_ti16_4e");
  EXPECT_EQ(records[1].at("label"), "sparse");
  EXPECT_TRUE(fails_with_one_line(run_program(words + Words{"--labels", "dense"}), 2,
                                  {"--labels", "one for each of 2 models"}));
}

}  // namespace
}  // namespace softmoe::test
