/// What users get wrong: each mistake gives one line that names it, and an exit code that is not 0.

#include <gmock/gmock.h>

#include <fstream>

#include "checkpoints/checkpoint.h"
#include "cli/tiny.h"
#include "io/npz.h"
#include "support/temporary_folder.h"

namespace softmoe::test {
namespace {

using testing::HasSubstr;
using testing::Not;

void write_text(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

/// Inverts one byte.
void alter_byte(const std::filesystem::path& path, int64_t position) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekg(position);
  const auto byte = static_cast<char>(~file.get());
  file.seekp(position);
  file.put(byte);
}

class BadInput : public testing::Test {
 protected:
  void SetUp() override {
    checkpoint_ = path("tiny.h5");
    write_tiny_checkpoint(checkpoint_);
    image_ = path("image.png");
    write_random_png(image_, 9, 11, /*seed=*/1);
  }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  Words predict(const Words& more) const {
    return Words{"predict", "--checkpoint", checkpoint_} + more;
  }

  TemporaryFolder folder_;
  std::string checkpoint_;
  std::string image_;
};

TEST_F(BadInput, MissingFiles) {
  const auto none = path("none.h5");
  EXPECT_TRUE(fails_with_one_line(run_program({"predict", "--checkpoint", none, image_}), 1,
                                  {none, "No such file"}));
  EXPECT_TRUE(fails_with_one_line(
      run_program({"eval", "--checkpoint", none, "--dataset", "digits"}), 1, {none}));
  EXPECT_TRUE(fails_with_one_line(
      run_program({"finetune", "--checkpoint", none, "--dataset", "digits"}), 1, {none}));
  EXPECT_TRUE(fails_with_one_line(run_program(predict({"--images", path("none.npz")})), 1,
                                  {path("none.npz")}));
  EXPECT_TRUE(fails_with_one_line(run_program({"eval", "--checkpoint", checkpoint_, "--dataset",
                                               "folder", "--data-dir", path("none")}),
                                  1, {path("none")}));
  EXPECT_TRUE(fails_with_one_line(run_program({"train", "--config", path("none.toml")}), 2,
                                  {path("none.toml")}));
}

TEST_F(BadInput, ALevelThatIsNoneEndsEveryCommandAtItsStart) {
  const ProgramSetting setting{.environment = {{"SOFTMOE_ISA", "mmx"}}};
  for (const auto& arguments : {Words{"models"}, predict({image_}),
                                Words{"train", "--dataset", "digits", "--output", path("runs")}}) {
    EXPECT_TRUE(fails_with_one_line(run_program(arguments, setting), 2,
                                    {"SOFTMOE_ISA: expected one of portable", "'mmx'"}));
  }
  EXPECT_FALSE(std::filesystem::exists(path("runs")));
}

TEST_F(BadInput, TruncatedCheckpoints) {
  const auto size = static_cast<int64_t>(std::filesystem::file_size(checkpoint_));
  for (const int64_t kept : {size - 1, size / 2, int64_t{100}, int64_t{0}}) {
    const auto cut = path("cut.h5");
    std::filesystem::copy_file(checkpoint_, cut, std::filesystem::copy_options::overwrite_existing);
    std::filesystem::resize_file(cut, static_cast<uintmax_t>(kept));
    EXPECT_TRUE(
        fails_with_one_line(run_program({"predict", "--checkpoint", cut, image_}), 1, {cut}))
        << kept << " of " << size << " bytes";
  }
}

TEST_F(BadInput, AlteredCheckpoints) {
  const auto size = static_cast<int64_t>(std::filesystem::file_size(checkpoint_));
  const auto altered = path("altered.h5");
  std::filesystem::copy_file(checkpoint_, altered);
  alter_byte(altered, size / 2);
  EXPECT_TRUE(
      fails_with_one_line(run_program({"predict", "--checkpoint", altered, image_}), 1, {altered}));
}

TEST_F(BadInput, FilesThatAreNoCheckpoints) {
  EXPECT_TRUE(
      fails_with_one_line(run_program({"predict", "--checkpoint", image_, image_}), 1, {image_}));
  EXPECT_TRUE(
      fails_with_one_line(run_program({"predict", "--checkpoint", folder_.path().string(), image_}),
                          1, {folder_.path().string()}));
}

TEST_F(BadInput, UnknownNames) {
  EXPECT_TRUE(fails_with_one_line(run_program({"trian"}), 2, {"trian", "train, finetune"}));
  EXPECT_TRUE(
      fails_with_one_line(run_program({"train", "--dataset", "digits", "--model", "vit_nope"}), 2,
                          {"vit_nope", "softmoe models lists"}));
  EXPECT_TRUE(fails_with_one_line(run_program({"benchmark", "--models", "vit_nope"}), 2,
                                  {"vit_nope", "softmoe models lists"}));
  EXPECT_TRUE(
      fails_with_one_line(run_program({"train", "--dataset", "digitz"}), 2, {"digitz", "digits"}));
  EXPECT_TRUE(fails_with_one_line(run_program(Words{"train", "--opt", "adamm", "--dataset",
                                                    "digits", "--output", path("runs")} +
                                              tiny_model_flags()),
                                  2, {"adamm", "adamw"}));
  EXPECT_TRUE(fails_with_one_line(run_program({"eval", "--checkpoint", checkpoint_, "--dataset",
                                               "digits", "--val-split", "nope"}),
                                  2, {"nope"}));
  EXPECT_TRUE(
      fails_with_one_line(run_program(predict({image_, "--device", "abacus"})), 2, {"abacus"}));
  EXPECT_TRUE(fails_with_one_line(run_program(predict({image_, "--device", "cuda:99"})), 2,
                                  {"--device: expected ", "'cuda:99'"}));
}

TEST_F(BadInput, WrongFlags) {
  EXPECT_TRUE(fails_with_one_line(run_program({"train", "--epoch", "3"}), 2,
                                  {"--epoch", "did you mean --epochs?"}));
  EXPECT_TRUE(fails_with_one_line(run_program({"train", "--batch-size", "0"}), 2,
                                  {"--batch-size", "in [1, 1e+09]", "0"}));
  // What overflowed, hung or crashed once.
  for (const auto& [flag, value] : {std::pair{"--epochs", "1e18"},
                                    {"--threads", "100000"},
                                    {"--workers", "1000000"},
                                    {"--prefetch", "100000000000"},
                                    {"--batch-size", "9223372036854775807"},
                                    {"--grad-accum-steps", "9223372036854775807"}}) {
    EXPECT_TRUE(fails_with_one_line(run_program({"train", "--dataset", "digits", flag, value}), 2,
                                    {std::string(flag) + ": expected in ["}));
  }
  EXPECT_TRUE(fails_with_one_line(run_program({"train", "--lr", "fast"}), 2, {"--lr", "fast"}));
  EXPECT_TRUE(fails_with_one_line(run_program({"train", "--drop-path", "1.5"}), 2,
                                  {"--drop-path", "[0, 0.999]", "1.5"}));
  EXPECT_TRUE(fails_with_one_line(run_program({"train", "--epochs"}), 2,
                                  {"--epochs: expected a value, found none"}));
  EXPECT_TRUE(fails_with_one_line(run_program(predict({image_, "--topk", "0"})), 2,
                                  {"--topk", "at least 1"}));
  EXPECT_TRUE(fails_with_one_line(run_program(predict({image_, "--format", "xml"})), 2,
                                  {"--format", "table, json, csv", "xml"}));
  EXPECT_TRUE(fails_with_one_line(run_program(predict({image_, "--what", "logits,scores"})), 2,
                                  {"--what", "scores"}));
  EXPECT_TRUE(fails_with_one_line(run_program(predict({})), 2, {"nothing to predict"}));
  EXPECT_TRUE(
      fails_with_one_line(run_program(predict({image_, "--images", "a.npz"})), 2, {"not both"}));
  EXPECT_TRUE(fails_with_one_line(run_program(predict({"a.npz"})), 2, {"--images a.npz"}));
  EXPECT_TRUE(fails_with_one_line(run_program({"predict", image_}), 2, {"nothing to predict"}));
  for (const auto* command :
       {"predict", "eval", "inspect", "prune", "finetune", "export", "convert", "upcycle"}) {
    EXPECT_TRUE(fails_with_one_line(run_program({command, "--threads", "1"}), 2,
                                    {"CHECKPOINT (--checkpoint) is missing"}))
        << command;
  }
  EXPECT_TRUE(
      fails_with_one_line(run_program({"eval", "--dataset", "digits"}), 2, {"--checkpoint"}));
}

TEST_F(BadInput, ConfigFiles) {
  const auto config = path("run.toml");
  write_text(config, "batch-size = 16\nbatch-sice = 32\n");
  EXPECT_TRUE(
      fails_with_one_line(run_program({"train", "--config", config}), 2, {config, "batch-sice"}));
  write_text(config, "batch-size = many\n");
  EXPECT_TRUE(
      fails_with_one_line(run_program({"train", "--config", config}), 2, {"batch-size", "many"}));
}

TEST_F(BadInput, ArraysOfAnotherShape) {
  const auto arrays = path("x.npz");
  write_npz(arrays, {{"images", torch::zeros({2, 9, 8, 1})}});
  EXPECT_TRUE(fails_with_one_line(run_program(predict({"--images", arrays})), 1,
                                  {arrays, "[images, 8, 8, 1]", "[2, 9, 8, 1]"}));
  write_npz(arrays, {{"images", torch::zeros({2, 9, 8, 4}, torch::kUInt8)}});
  EXPECT_TRUE(fails_with_one_line(run_program(predict({"--images", arrays})), 1,
                                  {arrays, "1 or 3 channels", "[2, 9, 8, 4]"}));
  write_npz(arrays, {{"pictures", torch::zeros({2, 8, 8, 1})}});
  EXPECT_TRUE(fails_with_one_line(run_program(predict({"--images", arrays})), 1,
                                  {arrays, "images", "pictures"}));
  for (const auto dtype : {torch::kUInt8, torch::kFloat32}) {
    write_npz(arrays, {{"images", torch::zeros({0, 8, 8, 1}, dtype)}});
    EXPECT_TRUE(fails_with_one_line(run_program(predict({"--images", arrays})), 1,
                                    {arrays, "at least one image", "[0, 8, 8, 1]"}));
  }
  std::filesystem::resize_file(arrays, 60);
  EXPECT_TRUE(fails_with_one_line(run_program(predict({"--images", arrays})), 1,
                                  {arrays, "an .npz file", "a truncated or damaged one"}));
}

TEST_F(BadInput, UnreadableImages) {
  const auto broken = path("broken.png");
  std::filesystem::copy_file(image_, broken);
  std::filesystem::resize_file(broken, 60);
  const auto one = run_program(predict({image_, broken, "--format", "csv"}));
  EXPECT_TRUE(fails_with_one_line(one, 1, {broken}));
  EXPECT_THAT(one.output, HasSubstr(image_ + ",1,"));
  const auto two = run_program(predict({broken, image_, path("none.jpg"), "--format", "csv"}));
  EXPECT_EQ(two.exit_code, 1);
  EXPECT_THAT(two.error_lines(),
              testing::ElementsAre(HasSubstr(broken), HasSubstr(path("none.jpg")),
                                   HasSubstr("2 of 3 images could not be read")));
  EXPECT_THAT(two.output, HasSubstr(image_ + ",1,"));
}

TEST_F(BadInput, FolderOfBrokenImages) {
  const auto root = folder_ / "set";
  for (int i = 0; i < 6; ++i) {
    for (const auto* label : {"cat", "dog"}) {
      const auto name = root / label / (std::to_string(i) + ".png");
      write_random_png(name, 8, 8, static_cast<uint64_t>(i));
      if (i >= 3) {
        std::filesystem::resize_file(name, 50);
      }
    }
  }
  const auto run = run_program(Words{"train", "--dataset", "folder", "--data-dir", root.string(),
                                     "--output", path("runs"), "--batch-size", "2"} +
                               tiny_model_flags());
  EXPECT_TRUE(ends_with_one_error(run, 1, {"--max-bad-images", ".png"}));
}

TEST_F(BadInput, BrokenDataSets) {
  const auto empty = folder_ / "empty";
  std::filesystem::create_directory(empty);
  const auto evaluate = [&](const Words& more) {
    return run_program(Words{"eval", "--checkpoint", checkpoint_, "--data-dir", empty.string()} +
                       more);
  };
  EXPECT_TRUE(fails_with_one_line(evaluate({"--dataset", "folder"}), 1, {empty.string()}));
  EXPECT_TRUE(fails_with_one_line(evaluate({"--dataset", "idx"}), 1, {empty.string()}));
  EXPECT_TRUE(fails_with_one_line(evaluate({"--dataset", "cifar10"}), 1, {empty.string()}));
  for (const auto* name : {"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                           "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"}) {
    write_text(empty / name, std::string("\0\0\x08", 3));
  }
  EXPECT_TRUE(fails_with_one_line(evaluate({"--dataset", "idx"}), 1, {"idx"}));
}

TEST_F(BadInput, ValidationImagesAreReadBeforeTraining) {
  for (const auto* label : {"cat", "dog"}) {
    for (const auto* split : {"train", "val"}) {
      for (int i = 0; i < 4; ++i) {
        write_random_png(folder_ / "pets" / split / label / (std::to_string(i) + ".png"), 8, 8, 1);
      }
    }
  }
  write_text(folder_ / "pets" / "val" / "cat" / "4.png", "no image");
  const auto train = [&] {
    return run_program(Words{"train", "--dataset", "folder", "--data-dir", path("pets"), "--output",
                             path("runs"), "--experiment", "a", "--epochs", "2", "--batch-size",
                             "4"} +
                       tiny_model_flags());
  };
  write_text(folder_ / "pets" / "val" / "dog" / "5.png", "no image");
  EXPECT_TRUE(ends_with_one_error(train(), 1, {"--max-bad-images", "4.png", "5.png"}));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "runs"));
  std::filesystem::remove(folder_ / "pets" / "val" / "dog" / "5.png");
  EXPECT_TRUE(succeeds(train()));  // one may be bad
}

TEST_F(BadInput, DataWithoutImagesToEvaluateOn) {
  for (const auto* label : {"cat", "dog"}) {
    write_random_png(folder_ / "few" / label / "1.png", 8, 8, 1);
    write_random_png(folder_ / "one" / "train" / "cat" / (std::string(label) + ".png"), 8, 8, 1);
    write_random_png(folder_ / "one" / "val" / "cat" / (std::string(label) + ".png"), 8, 8, 1);
  }
  const auto train = [&](const std::string& data) {
    return run_program(
        Words{"train", "--dataset", "folder", "--data-dir", path(data), "--output", path("runs")} +
        tiny_model_flags());
  };
  EXPECT_TRUE(ends_with_one_error(train("few"), 1, {"split val", "expected images, found none"}));
  EXPECT_TRUE(ends_with_one_error(train("one"), 1, {"two classes or more, found one"}));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "runs"));
}

TEST_F(BadInput, DataSetsOfOtherClasses) {
  for (const auto* label : {"cat", "dog"}) {
    for (int i = 0; i < 2; ++i) {
      write_random_png(folder_ / "pets" / "val" / label / (std::to_string(i) + ".png"), 8, 8, 1);
    }
  }
  EXPECT_TRUE(ends_with_one_error(run_program({"eval", "--checkpoint", checkpoint_, "--dataset",
                                               "folder", "--data-dir", path("pets")}),
                                  1, {"folder", "the 10 classes of the checkpoint", "2 classes"}));
}

TEST_F(BadInput, ClassesUnderOtherNames) {
  write_tiny_checkpoint(checkpoint_, {"0", "1", "2", "3", "4", "5", "6", "7", "nine", "eight"});
  EXPECT_TRUE(
      fails_with_one_line(run_program({"eval", "--checkpoint", checkpoint_, "--dataset", "digits"}),
                          1, {"digits", "class 8", "'nine' as in the checkpoint", "'8'"}));
}

TEST_F(BadInput, ModelsWithoutAHead) {
  ASSERT_TRUE(
      succeeds(run_program({"convert", checkpoint_, path("body.h5"), "--num-classes", "0"})));
  EXPECT_TRUE(fails_with_one_line(
      run_program({"eval", "--checkpoint", path("body.h5"), "--dataset", "digits"}), 1,
      {path("body.h5"), "a model with a head"}));
}

TEST_F(BadInput, FineTuningAnotherBody) {
  EXPECT_TRUE(fails_with_one_line(
      run_program({"finetune", "--checkpoint", checkpoint_, "--dataset", "digits", "--heads", "4"}),
      1, {checkpoint_, "heads", "4"}));
}

TEST_F(BadInput, ArraysThatAreNoFeatures) {
  const auto arrays = path("features.npz");
  write_npz(arrays, {{"features", torch::rand({4, 3})}});
  EXPECT_TRUE(fails_with_one_line(
      run_program({"fewshot", "--train-features", arrays, "--test-features", arrays}), 1,
      {arrays, "labels"}));
}

TEST_F(BadInput, ExplodingLoss) {
  const auto run =
      run_program(tiny_training(folder_.path()) + Words{"--lr", "1e30", "--clip-grad", "0"});
  EXPECT_TRUE(ends_with_one_error(run, 1, {"loss is", "update", "--lr"}));
}

TEST_F(BadInput, WeightsThatAreNoNumbers) {
  auto checkpoint = load_checkpoint(checkpoint_);
  checkpoint.model.at("pos_embed").flatten()[3] = NAN;
  checkpoint.model.at("head.bias")[1] = INFINITY;
  const auto odd = path("odd.h5");
  save_checkpoint(odd, checkpoint);
  for (const auto& words :
       {Words{"convert", odd, path("odd.safetensors")}, Words{"export", odd, path("odd.onnx")}}) {
    const auto run = run_program(words);
    ASSERT_TRUE(succeeds(run));
    EXPECT_THAT(run.error, HasSubstr(odd + ": note: tensor 'head.bias' has NaN or infinite"));
    EXPECT_THAT(run.error, Not(HasSubstr("pos_embed")));
  }
  const auto whole = run_program({"export", checkpoint_, path("whole.onnx")});
  EXPECT_THAT(whole.error, Not(HasSubstr("note")));
}

TEST_F(BadInput, ModelsLargerThanTheMemory) {
  auto checkpoint = load_checkpoint(checkpoint_);
  checkpoint.metadata["model"]["experts"] = 65'536;
  checkpoint.metadata["model"]["mlp-dim"] = 131'072;
  const auto huge = path("huge.h5");
  save_checkpoint(huge, checkpoint);
  for (const auto& words :
       {Words{"predict", image_}, Words{"inspect", image_}, Words{"eval", "--dataset", "digits"},
        Words{"fewshot", "--dataset", "digits"}}) {
    EXPECT_TRUE(fails_with_one_line(run_program(words + Words{"--checkpoint", huge}), 1,
                                    {huge, "of memory available on cpu", "TB of weights"}));
  }
}

TEST_F(BadInput, BatchesLargerThanTheMemory) {
  auto checkpoint = load_checkpoint(checkpoint_);
  checkpoint.metadata["model"]["img-size"] = {512};
  checkpoint.metadata["preprocess"]["input-size"] = {1, 512, 512};
  checkpoint.model["pos_embed"] = torch::zeros({1, 256 * 256, 24});
  const auto large = path("large.h5");
  save_checkpoint(large, checkpoint);
  const auto arrays = path("x.npz");
  write_npz(arrays, {{"images", torch::zeros({100, 8, 8, 1}, torch::kUInt8)}});
  const Words words{"predict", "--checkpoint", large, "--images", arrays, "--threads",
                    "1",       "--format",     "csv"};
  const ProgramSetting little{.memory_limit = uint64_t{2} << 30};
  EXPECT_TRUE(fails_with_one_line(run_program(words + Words{"--batch-size", "100"}, little), 1,
                                  {"--batch-size 100", "expected enough memory"}));
}

TEST_F(BadInput, FullDisk) {
  const auto output = path("labels.npz");
  EXPECT_TRUE(fails_with_one_line(
      run_program(predict({image_, "--output", output}), {.file_size_limit = 100}), 1,
      {output, "File too large"}));
  EXPECT_FALSE(std::filesystem::exists(output));
  EXPECT_TRUE(fails_with_one_line(
      run_program(predict({image_, "--json", path("labels.json")}), {.file_size_limit = 100}), 1,
      {path("labels.json"), "File too large"}));
  EXPECT_TRUE(fails_with_one_line(run_program(predict({image_}), {.output_file = "/dev/full"}), 1,
                                  {"standard output"}));
  const auto run = run_program(tiny_training(folder_.path()), {.file_size_limit = 20'000});
  EXPECT_TRUE(ends_with_one_error(run, 1, {path("run/"), "File too large"}));
}

}  // namespace
}  // namespace softmoe::test
