/// Training on images with texts, and asking the model, by the program.

#include <gmock/gmock.h>

#include "checkpoints/checkpoint.h"
#include "cli/tiny.h"
#include "datasets/image_file.h"
#include "io/atomic_file.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"

namespace softmoe::test {
namespace {

using testing::HasSubstr;

const Words kColours{"red", "green", "blue"};
const Words kPlaces{"top", "bottom"};

/// Pictures with a coloured half and a caption that says which, as image i of `folder`.
void write_halves(const std::filesystem::path& folder, int count) {
  for (int number = 0; number < count; ++number) {
    const auto colour = static_cast<size_t>(number % 3);
    const auto place = static_cast<size_t>(number / 3 % 2);
    cv::Mat image = cv::Mat::zeros(8, 8, CV_8UC3);
    for (int y = 0; y < 4; ++y) {
      for (int x = 0; x < 8; ++x) {
        image.ptr<uint8_t>(y + 4 * static_cast<int>(place))[3 * x + static_cast<int>(colour)] =
            static_cast<uint8_t>(255 - number);
      }
    }
    const auto png = encode_png(image);
    write_text_file(folder / (std::to_string(number) + ".png"), {png.begin(), png.end()});
    write_text_file(folder / (std::to_string(number) + ".txt"),
                    kColours[colour] + " at the " + kPlaces[place] + "\n");
  }
}

/// A folder of captioned pictures, and runs on it.
class ZeroShot : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<TemporaryFolder>();
    write_halves(*folder_ / "halves", 60);
    training_ = run_program(training(
        "run", {"--json", place("run.json"), "--epochs", "60", "--contrastive-loss", "softmax"}));
  }
  static void TearDownTestSuite() { folder_.reset(); }

  static std::string place(const std::string& name) { return (*folder_ / name).string(); }
  static Words image_tower() {
    return {"--img-size", "8", "--patch-size", "4", "--dim",     "16",
            "--depth",    "1", "--heads",      "2", "--mlp-dim", "24"};
  }
  static Words training(const std::string& name, const Words& more = {}) {
    return Words{"train",
                 "--objective",
                 "contrastive",
                 "--model",
                 "siglip_vit_ti16",
                 "--dataset",
                 "captions",
                 "--data-dir",
                 place("halves"),
                 "--text-dim",
                 "16",
                 "--text-depth",
                 "1",
                 "--text-heads",
                 "2",
                 "--text-mlp-dim",
                 "24",
                 "--text-embed-dim",
                 "16",
                 "--train-crop-mode",
                 "none",
                 "--hflip",
                 "0",
                 "--batch-size",
                 "18",
                 "--lr",
                 "1e-2",
                 "--epochs",
                 "4",
                 "--log-interval",
                 "1",
                 "--amp-dtype",
                 "float32",
                 "--threads",
                 "1",
                 "--output",
                 folder_->path().string(),
                 "--experiment",
                 name} +
           image_tower() + more;
  }
  static ProgramRun train(const std::string& name, const Words& more = {}) {
    return run_program(training(name, more));
  }
  static ProgramRun ask(const std::string& run, const Words& more) {
    return run_program(
        Words{"zeroshot", place(run + "/last.h5"), "--threads", "1", "--json", place("ask.json")} +
        more);
  }

  static std::unique_ptr<TemporaryFolder> folder_;
  static ProgramRun training_;
};

std::unique_ptr<TemporaryFolder> ZeroShot::folder_;
ProgramRun ZeroShot::training_;

TEST_F(ZeroShot, AModelLearnsToFindCaptionsAndImages) {
  ASSERT_TRUE(succeeds(training_));
  EXPECT_THAT(training_.error, HasSubstr("learned from the training texts"));
  EXPECT_THAT(training_.error, HasSubstr("R@1"));
  const auto retrieval = read_json(place("run.json")).at("result").at("retrieval");
  EXPECT_GT(retrieval.at("text_of_image").at("recall_at_1").get<double>(), 0.7);
  ASSERT_TRUE(succeeds(ask("run", {"--dataset", "captions", "--data-dir", place("halves")})));
  const auto asked = read_json(place("ask.json"));
  EXPECT_EQ(asked.at("retrieval"), retrieval);
  EXPECT_FALSE(asked.contains("classification"));
}

TEST_F(ZeroShot, ClassesAreAskedForBySentences) {
  ASSERT_TRUE(succeeds(training_));
  for (const auto& colour : kColours) {
    std::filesystem::create_directories(*folder_ / "colours" / colour);
  }
  for (int number = 0; number < 12; ++number) {
    std::filesystem::copy_file(*folder_ / "halves" / (std::to_string(number) + ".png"),
                               *folder_ / "colours" / kColours[static_cast<size_t>(number % 3)] /
                                   (std::to_string(number) + ".png"),
                               std::filesystem::copy_options::overwrite_existing);
  }
  write_text_file(*folder_ / "sentences.txt", "{} at the top\n{} at the bottom\n");
  const auto run = ask("run", {"--dataset", "folder", "--data-dir", place("colours"), "--val-split",
                               "all", "--caption-templates", place("sentences.txt")});
  ASSERT_TRUE(succeeds(run));
  EXPECT_THAT(run.output, HasSubstr("2 templates"));
  const auto result = read_json(place("ask.json")).at("classification");
  EXPECT_EQ(result.at("top1"), 1.0);
  EXPECT_EQ(result.at("class_accuracy"), (Json{1.0, 1.0, 1.0}));
  EXPECT_TRUE(ends_with_one_error(ask("run", {"--dataset", "folder", "--data-dir", place("colours"),
                                              "--caption-templates", place("none.txt")}),
                                  1, {"none.txt"}));
}

TEST_F(ZeroShot, ResumesExactly) {
  const Words random{"--train-crop-mode",  "padded",  "--padding", "1", "--text-drop", "0.1",
                     "--contrastive-loss", "softmax", "--epochs",  "60"};
  ASSERT_TRUE(succeeds(train("whole", random)));
  const auto stopped =
      run_program(training("parts", random), {.interrupt_when = [](const std::string& text) {
                    return text.find("Train: 1 ") != std::string::npos;
                  }});
  ASSERT_TRUE(ends_with_one_error(stopped, 130, {"interrupted after update"}));
  EXPECT_TRUE(ends_with_one_error(train("parts", random + Words{"--text-depth", "2"}), 2,
                                  {"--text-depth"}));
  EXPECT_TRUE(ends_with_one_error(train("parts", random + Words{"--tokenizer", "bytes"}), 2,
                                  {"--tokenizer"}));
  ASSERT_TRUE(succeeds(train("parts", random)));
  expect_same_run(place("parts"), place("whole"));
}

TEST_F(ZeroShot, ALockedTowerStaysAsItIsAndItsFeaturesAreComputedOnce) {
  write_halves(*folder_ / "labelled/all/a", 12);
  write_halves(*folder_ / "labelled/all/b", 12);
  const auto classifier =
      run_program(Words{"train", "--data-dir", place("labelled/all"), "--model", "vit_ti16",
                        "--epochs", "1", "--batch-size", "8", "--output", folder_->path().string(),
                        "--experiment", "classifier", "--threads", "1"} +
                  image_tower());
  ASSERT_TRUE(succeeds(classifier));
  const Words locked{"--image-init", place("classifier/last.h5"), "--lock-image"};
  const auto once = train("once", locked);
  ASSERT_TRUE(succeeds(once));
  EXPECT_THAT(once.error, HasSubstr("features of the locked image tower computed once"));
  const auto trained = load_checkpoint(place("once/last.h5")).model;
  const auto initial = load_checkpoint(place("classifier/last.h5")).model;
  for (const auto& [name, tensor] : initial) {
    if (!name.starts_with("head.")) {
      EXPECT_TRUE(same_bits(trained.at("image." + name), tensor)) << name;
    }
  }
  const auto anew = train("anew", locked + Words{"--hflip", "0.5"});
  ASSERT_TRUE(succeeds(anew));
  EXPECT_THAT(anew.error, testing::Not(HasSubstr("computed once")));
  EXPECT_TRUE(ends_with_one_error(train("bad", {"--lock-image"}), 2, {"--image-init"}));
}

TEST_F(ZeroShot, PackedCaptionsTrainTheSameModelAndItsAverages) {
  ASSERT_TRUE(succeeds(run_program(
      {"data", "pack", place("packed"), "--dataset", "captions", "--data-dir", place("halves")})));
  const Words averaged{"--model-ema", "--model-ema-decay", "0.5", "--grad-accum-steps",
                       "2",           "--batch-size",      "9"};
  ASSERT_TRUE(succeeds(train("files", averaged)));
  ASSERT_TRUE(succeeds(
      train("pack", averaged + Words{"--dataset", "hdf5", "--data-dir", place("packed")})));
  for (const auto* const file : {"last.h5", "ema-0.5.h5"}) {
    const auto packed = load_checkpoint(place("pack") + "/" + file).model;
    for (const auto& [name, tensor] : load_checkpoint(place("files") + "/" + file).model) {
      EXPECT_TRUE(same_bits(packed.at(name), tensor)) << file << ": " << name;
    }
  }
  const auto ask = run_program({"zeroshot", place("pack/ema-0.5.h5"), "--dataset", "hdf5",
                                "--data-dir", place("packed"), "--threads", "1"});
  ASSERT_TRUE(succeeds(ask));
  EXPECT_THAT(ask.output, HasSubstr("R@1"));
}

TEST_F(ZeroShot, ModelsOfOneVocabularyAreAveraged) {
  ASSERT_TRUE(succeeds(training_));
  const auto first = place("run/last.h5");
  const auto second = place("run/best.h5");
  const auto mean = place("mean.h5");
  ASSERT_TRUE(succeeds(run_program({"average", first, second, "--output", mean})));
  const auto averaged = load_checkpoint(mean).model;
  const auto a = load_checkpoint(first).model.at("text.pos_embed");
  const auto b = load_checkpoint(second).model.at("text.pos_embed");
  EXPECT_TRUE(all_close(averaged.at("text.pos_embed"), (a + b) / 2));
  EXPECT_TRUE(succeeds(run_program({"zeroshot", mean, "--dataset", "captions", "--data-dir",
                                    place("halves"), "--threads", "1"})));
  EXPECT_TRUE(ends_with_one_error(
      run_program({"average", first, second, "--output", mean, "--dataset", "digits"}), 2,
      {"--dataset"}));
}

TEST_F(ZeroShot, TowersComputeInEveryDtypeThatEvalHas) {
  ASSERT_TRUE(succeeds(training_));
  const auto recall = [&](const std::string& dtype) {
    EXPECT_TRUE(succeeds(ask(
        "run", {"--dataset", "captions", "--data-dir", place("halves"), "--amp-dtype", dtype})));
    return read_json(place("ask.json")).at("retrieval").at("text_of_image").at("recall_at_1");
  };
  const auto exact = recall("float32").get<double>();
  for (const auto* const dtype : {"bfloat16", "int8", "int8_experts"}) {
    EXPECT_NEAR(recall(dtype).get<double>(), exact, 0.15) << dtype;
  }
}

TEST_F(ZeroShot, LabelsBecomeSentencesByTemplates) {
  const auto run =
      run_program(Words{"train",
                        "--objective",
                        "contrastive",
                        "--model",
                        "clip_vit_ti16",
                        "--dataset",
                        "digits",
                        "--caption-templates",
                        "default",
                        "--tokenizer",
                        "bpe",
                        "--contrastive-loss",
                        "softmax",
                        "--output",
                        folder_->path().string(),
                        "--experiment",
                        "digits",
                        "--epochs",
                        "3",
                        "--batch-size",
                        "32",
                        "--lr",
                        "1e-2",
                        "--text-dim",
                        "16",
                        "--text-depth",
                        "1",
                        "--text-heads",
                        "2",
                        "--text-mlp-dim",
                        "24",
                        "--text-embed-dim",
                        "16",
                        "--text-moe-blocks",
                        "last_1",
                        "--text-experts",
                        "2",
                        "--json",
                        place("digits.json")} +
                  Words{"--img-size", "8", "--patch-size", "2", "--in-chans", "1", "--dim", "16",
                        "--depth", "2", "--heads", "2", "--mlp-dim", "24", "--threads", "1"});
  ASSERT_TRUE(succeeds(run));
  const auto result = read_json(place("digits.json")).at("result");
  EXPECT_GT(result.at("last").at("top1").get<double>(), 0.25);
  EXPECT_FALSE(result.contains("retrieval"));
}

TEST_F(ZeroShot, BadInputEndsBeforeTheFirstStep) {
  EXPECT_TRUE(ends_with_one_error(train("bad", {"--model", "vit_ti16"}), 2,
                                  {"--model", "a model of images and texts"}));
  EXPECT_TRUE(ends_with_one_error(train("bad", {"--objective", "classification"}), 2,
                                  {"--model", "--objective contrastive"}));
  EXPECT_TRUE(ends_with_one_error(train("bad", {"--mixup", "0.3"}), 2, {"--mixup"}));
  EXPECT_TRUE(ends_with_one_error(train("bad", {"--sam-rho", "0.05"}), 2, {"--sam-rho"}));
  EXPECT_TRUE(
      ends_with_one_error(train("bad", {"--tokenizer", place("none.json")}), 1, {"none.json"}));
  EXPECT_TRUE(ends_with_one_error(train("bad", {"--text-vocab-size", "100"}), 2,
                                  {"--text-vocab-size", "259"}));
  EXPECT_TRUE(ends_with_one_error(train("bad", {"--caption-templates", "default"}), 2,
                                  {"--caption-templates"}));
  EXPECT_TRUE(ends_with_one_error(
      run_program(tiny_training(folder_->path()) + Words{"--lock-image"}), 2, {"--lock-image"}));
  EXPECT_TRUE(ends_with_one_error(
      run_program(Words{"train", "--objective", "contrastive", "--model", "siglip_vit_ti16",
                        "--dataset", "digits", "--output", folder_->path().string()}),
      2, {"--caption-templates"}));
  write_tiny_checkpoint(place("tiny.h5"));
  EXPECT_TRUE(
      ends_with_one_error(run_program({"zeroshot", place("tiny.h5"), "--dataset", "digits"}), 1,
                          {"tiny.h5", "a model of images and texts"}));
}

TEST(TokenizerCommand, LearnsConvertsAndEncodes) {
  const TemporaryFolder folder;
  write_text_file(folder / "a.txt", "a cat and a dog\na cat and a cat\n");
  const auto file = (folder / "v.json").string();
  const auto train = [&](const Words& more) {
    return run_program(Words{"tokenizer", "train", (folder / "a.txt").string(), "--vocab-size",
                             "264", "--output", file} +
                       more);
  };
  ASSERT_TRUE(succeeds(train({"--json", (folder / "t.json").string()})));
  EXPECT_EQ(read_json(folder / "t.json").at("vocab_size"), 264);
  const auto first = read_text_file(file);
  ASSERT_TRUE(succeeds(train({})));
  EXPECT_EQ(read_text_file(file), first);
  const auto encoded = run_program({"tokenizer", "encode", file, "a cat"});
  ASSERT_TRUE(succeeds(encoded));
  EXPECT_THAT(encoded.output, HasSubstr("|a| cat|"));
  const auto clip = std::filesystem::path(SOFTMOE_FIXTURES) / "tokenizers/clip";
  const auto merges = (folder / "merges.txt.gz").string();
  EXPECT_TRUE(succeeds(
      run_program({"tokenizer", "convert", clip.string(), "--output", (folder / "hf").string()})));
  EXPECT_TRUE(std::filesystem::exists(folder / "hf/vocab.json"));
  EXPECT_TRUE(ends_with_one_error(run_program({"tokenizer", "convert", file, "--output", merges}),
                                  2, {"merges.txt.gz"}));
  EXPECT_TRUE(ends_with_one_error(run_program({"tokenizer", "train", file}), 2, {"--output"}));
  EXPECT_TRUE(ends_with_one_error(run_program({"tokenizer", "encode"}), 2, {"FILE"}));
}

}  // namespace
}  // namespace softmoe::test
