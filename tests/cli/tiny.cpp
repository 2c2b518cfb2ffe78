#include "cli/tiny.h"

#include <gtest/gtest.h>

#include <fstream>

#include "checkpoints/model_checkpoint.h"
#include "core/rng.h"
#include "datasets/dataset.h"
#include "datasets/image_file.h"
#include "datasets/transforms.h"
#include "io/atomic_file.h"
#include "support/tensor_matcher.h"
#include "vit/small_models.h"

namespace softmoe::test {
namespace {

void write_png(const std::filesystem::path& path, const cv::Mat& image) {
  std::filesystem::create_directories(path.parent_path());
  const auto bytes = encode_png(image);
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

testing::AssertionResult failure(const ProgramRun& run, const std::string& why) {
  return testing::AssertionFailure()
         << why << "\nexit code " << run.exit_code << "\nstandard error:\n"
         << run.error << "standard output:\n"
         << run.output.substr(0, 2000);
}

testing::AssertionResult check_error(const ProgramRun& run, int exit_code, const Words& lines,
                                     const Words& parts) {
  if (run.exit_code != exit_code) {
    return failure(run, "expected exit code " + std::to_string(exit_code));
  }
  if (lines.size() != 1) {
    return failure(run, "expected one line about the error");
  }
  for (const auto& part : parts) {
    if (lines.front().find(part) == std::string::npos) {
      return failure(run, "the error does not mention '" + part + "'");
    }
  }
  return testing::AssertionSuccess();
}

void expect_same_tensors(const NamedTensors& actual, const NamedTensors& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (const auto& [name, tensor] : expected) {
    EXPECT_TRUE(same_bits(actual.at(name), tensor)) << name;
  }
}

}  // namespace

Words operator+(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

Words tiny_model_flags() {
  return {"--model",      "vit_ti16", "--img-size", "8", "--patch-size", "2", "--in-chans", "1",
          "--dim",        "16",       "--depth",    "2", "--heads",      "2", "--mlp-dim",  "24",
          "--moe-blocks", "last_1",   "--experts",  "3", "--threads",    "1"};
}

Words tiny_training(const std::filesystem::path& output) {
  return Words{"train", "--dataset",      "digits", "--output",    output.string(), "--experiment",
               "run",   "--epochs",       "2",      "--lr",        "1e-2",          "--batch-size",
               "64",    "--log-interval", "4",      "--amp-dtype", "float32"} +
         tiny_model_flags();
}

void write_tiny_checkpoint(const std::filesystem::path& path, const Words& class_names,
                           const std::string& router) {
  auto options = small_moe_options(router);
  options.img_size = {8};
  options.patch_size = 2;
  options.in_chans = 1;
  options.num_classes = 10;
  const auto model = lively_model(options);
  PreprocessOptions preprocess;
  preprocess.input_size = {1, 8, 8};
  Checkpoint checkpoint;
  checkpoint.metadata = to_metadata(
      {.name = "tiny", .options = options, .class_names = class_names, .preprocess = preprocess});
  checkpoint.model = named_tensors(*model);
  save_checkpoint(path, checkpoint);
}

void write_random_png(const std::filesystem::path& path, int height, int width, uint64_t seed) {
  Rng rng(stream_key(seed, "test image"));
  cv::Mat image(height, width, CV_8UC3);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < 3 * width; ++x) {
      image.ptr<uint8_t>(y)[x] = static_cast<uint8_t>(rng.below(256));
    }
  }
  write_png(path, image);
}

void write_digit_files(const std::filesystem::path& folder, int64_t count) {
  DatasetOptions options;
  options.dataset = "digits";
  const auto digits = make_dataset(options, "val");
  for (int64_t i = 0; i < count; ++i) {
    const auto sample = digits->get(i);
    write_png(folder / (std::to_string(i) + "-" + std::to_string(sample.label) + ".png"),
              sample.image);
  }
}

Json read_json(const std::filesystem::path& path) { return Json::parse(read_text_file(path)); }

testing::AssertionResult fails_with_one_line(const ProgramRun& run, int exit_code,
                                             const Words& parts) {
  return check_error(run, exit_code, run.error_lines(), parts);
}

testing::AssertionResult ends_with_one_error(const ProgramRun& run, int exit_code,
                                             const Words& parts) {
  Words lines;
  for (const auto& line : run.error_lines()) {
    if (line.starts_with("softmoe: ")) {
      lines.push_back(line);
    }
  }
  if (lines.empty() || run.error_lines().back() != lines.back()) {
    return failure(run, "expected an error at the end");
  }
  return check_error(run, exit_code, lines, parts);
}

testing::AssertionResult succeeds(const ProgramRun& run) {
  return run.exit_code == 0 ? testing::AssertionSuccess() : failure(run, "expected success");
}

void expect_same_run(const std::filesystem::path& actual, const std::filesystem::path& expected) {
  for (const auto* name : {"metrics.jsonl", "summary.csv"}) {
    EXPECT_EQ(read_text_file(actual / name), read_text_file(expected / name)) << name;
  }
  for (const auto* name : {"last.h5", "best.h5"}) {
    const auto a = load_checkpoint(actual / name);
    const auto b = load_checkpoint(expected / name);
    expect_same_tensors(a.model, b.model);
    expect_same_tensors(a.optimizer, b.optimizer);
  }
}

}  // namespace softmoe::test
