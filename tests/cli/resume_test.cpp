/// A run that was stopped and started again is the run that was not.

#include <gmock/gmock.h>

#include "checkpoints/checkpoint.h"
#include "cli/tiny.h"
#include "io/atomic_file.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"

namespace softmoe::test {
namespace {

using testing::HasSubstr;

void expect_same_tensors(const NamedTensors& actual, const NamedTensors& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (const auto& [name, tensor] : expected) {
    EXPECT_TRUE(same_bits(actual.at(name), tensor)) << name;
  }
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

size_t count(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++found;
  }
  return found;
}

/// Training with everything that is random: dropout, stochastic depth, mirrored and padded crops,
/// several workers, accumulated gradients.
Words random_training(const std::filesystem::path& output) {
  return tiny_training(output) +
         Words{"--log-interval",     "1",      "--drop",       "0.1", "--drop-path", "0.1",
               "--train-crop-mode",  "padded", "--padding",    "1",   "--workers",   "2",
               "--grad-accum-steps", "2",      "--batch-size", "32"};
}

/// Starts training again and again, stopping it by `signal` after every `updates` updates.
/// Returns how often it was stopped.
int train_in_pieces(const Words& words, int signal, size_t updates) {
  for (int sittings = 0; sittings < 50; ++sittings) {
    const auto run = run_program(words, {.interrupt_when =
                                             [updates](const std::string& text) {
                                               return count(text, "Train: ") >= updates;
                                             },
                                         .signal = signal});
    if (run.exit_code == 0) {
      return sittings;
    }
    if (signal == SIGKILL) {
      EXPECT_EQ(run.exit_code, 128 + SIGKILL);
    } else {
      EXPECT_TRUE(
          ends_with_one_error(run, 130, {"interrupted after update", "last.h5", "resumes"}));
    }
  }
  ADD_FAILURE() << "the run made no progress";
  return 0;
}

TEST(Resume, InterruptedRunsEqualUninterruptedOnes) {
  const TemporaryFolder folder;
  ASSERT_TRUE(succeeds(run_program(random_training(folder / "whole"))));
  EXPECT_GE(train_in_pieces(random_training(folder / "pieces"), SIGINT, 13), 2);
  expect_same_run(folder / "pieces" / "run", folder / "whole" / "run");
}

TEST(Resume, KilledRunsEqualUninterruptedOnes) {
  const TemporaryFolder folder;
  // The fastest settings: several threads, bf16 if the machine has it.
  const Words more{"--checkpoint-interval", "0.2", "--threads", "2", "--amp-dtype", "auto"};
  ASSERT_TRUE(succeeds(run_program(random_training(folder / "whole") + more)));
  EXPECT_GE(train_in_pieces(random_training(folder / "pieces") + more, SIGKILL, 17), 1);
  expect_same_run(folder / "pieces" / "run", folder / "whole" / "run");
}

TEST(Resume, RefusesOtherOptions) {
  const TemporaryFolder folder;
  ASSERT_TRUE(succeeds(run_program(tiny_training(folder.path()) + Words{"--max-steps", "3"})));
  EXPECT_TRUE(ends_with_one_error(
      run_program(tiny_training(folder.path()) + Words{"--max-steps", "3", "--lr", "0.5"}), 2,
      {"--lr", "0.5", "0.01"}));
}

}  // namespace
}  // namespace softmoe::test
