#include "cli/parallel_runs.h"

#include <gtest/gtest.h>

#include "core/split_text.h"
#include "io/atomic_file.h"
#include "support/temporary_folder.h"

namespace softmoe::test {
namespace {

void expect_close(const std::vector<double>& actual, const std::vector<double>& expected,
                  double tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    EXPECT_NEAR(actual[i], expected[i], tolerance * std::abs(expected[i])) << "record " << i;
  }
}

void expect_close(const NamedTensors& actual, const NamedTensors& expected, double tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  for (const auto& [name, tensor] : expected) {
    const auto wide = tensor.to(torch::kFloat64);
    const auto error = (actual.at(name).to(torch::kFloat64) - wide).norm().item<double>();
    EXPECT_LE(error, tolerance * std::max(wide.norm().item<double>(), 1e-3)) << name;
  }
}

}  // namespace

Words plain_training(const std::filesystem::path& output) {
  return tiny_training(output) +
         Words{"--max-steps", "20",   "--log-interval", "1",  "--opt",           "sgd",
               "--lr",        "0.05", "--batch-size",   "32", "--warmup-epochs", "0"};
}

Words launched(int64_t processes, const Words& words) {
  return Words{"launch", "-n", std::to_string(processes)} + words;
}

Outcome outcome_of(const std::filesystem::path& folder) {
  Outcome outcome;
  for (const auto& line : split_text(read_text_file(folder / "run" / "metrics.jsonl"), '\n')) {
    if (!line.empty()) {
      const auto record = Json::parse(line);
      outcome.losses.push_back(record.at("train_loss"));
      outcome.norms.push_back(record.at("grad_norm"));
    }
  }
  outcome.evaluations = read_text_file(folder / "run" / "evaluations.jsonl");
  outcome.last = load_checkpoint(folder / "run" / "last.h5", {.ema = true});
  return outcome;
}

void expect_same_outcome(const Outcome& actual, const Outcome& expected) {
  expect_close(actual.losses, expected.losses, 1e-6);
  expect_close(actual.norms, expected.norms, 1e-5);
  expect_close(actual.last.model, expected.last.model, 1e-6);
  expect_close(actual.last.ema, expected.last.ema, 1e-6);
  const auto examples = [](const Outcome& outcome) {
    return Json::parse(split_text(outcome.evaluations, '\n').front()).at("class_examples");
  };
  EXPECT_EQ(examples(actual), examples(expected));
}

ProgramSetting interrupted_at(const std::string& update) {
  return {.interrupt_when = [update](const std::string& text) {
    return text.find("[" + update + "/") != std::string::npos;
  }};
}

void expect_same_runs(const Words& flags, const std::vector<int64_t>& processes,
                      const Words& of_several) {
  const TemporaryFolder folder;
  ASSERT_TRUE(succeeds(run_program(plain_training(folder / "one") + flags)));
  const auto one = outcome_of(folder / "one");
  EXPECT_EQ(one.losses.size(), 20);
  for (const auto count : processes) {
    const auto name = std::to_string(count);
    ASSERT_TRUE(
        succeeds(run_program(launched(count, plain_training(folder / name) + flags + of_several))));
    expect_same_outcome(outcome_of(folder / name), one);
  }
}

}  // namespace softmoe::test
