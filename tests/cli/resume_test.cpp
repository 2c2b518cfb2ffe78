/// A run that was stopped and started again is the run that was not.

#include <gmock/gmock.h>

#include "cli/tiny.h"
#include "core/split_text.h"
#include "support/temporary_folder.h"

namespace softmoe::test {
namespace {

using testing::HasSubstr;

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

/// The flags that a message advises: what stands between `before` and `after`.
Words advised_words(const std::string& text, const std::string& before, const std::string& after) {
  const auto begin = text.find(before) + before.size();
  return split_text(text.substr(begin, text.find(after, begin) - begin), ' ');
}

TEST(Resume, RefusesOtherOptionsAndNamesTheFlagThatWorks) {
  const TemporaryFolder folder;
  const auto train = [&](const Words& more) {
    return run_program(tiny_training(folder.path()) + Words{"--max-steps", "3"} + more);
  };
  ASSERT_TRUE(succeeds(train({})));
  const auto refused = train({"--lr", "0.5"});
  EXPECT_TRUE(ends_with_one_error(refused, 2, {"--lr", "0.5", "0.01", "another --experiment"}));
  EXPECT_TRUE(succeeds(train(advised_words(refused.error, "now it is 0.5; ", " resumes it"))));
  EXPECT_TRUE(succeeds(train({"--lr", "0.5", "--experiment", "another"})));
}

TEST(Resume, TakesWhatTheResultDoesNotDependOn) {
  const TemporaryFolder folder;
  const auto train = [&](const Words& more) {
    return run_program(tiny_training(folder.path()) + Words{"--max-steps", "3"} + more);
  };
  ASSERT_TRUE(succeeds(train({})));
  EXPECT_TRUE(succeeds(train({"--max-bad-images", "0.5", "--workers", "0", "--json",
                              (folder / "a.json").string(), "--checkpoint-interval", "0.5"})));
  std::filesystem::rename(folder / "run", folder / "renamed");
  EXPECT_TRUE(
      succeeds(train({"--experiment", "renamed", "--output", folder.path().string() + "/."})));
  const auto longer = train({"--experiment", "renamed", "--max-steps", "5"});
  EXPECT_TRUE(succeeds(longer));
  EXPECT_THAT(longer.error, HasSubstr("5 updates instead of 3"));
}

TEST(Resume, ComparesItsImages) {
  const TemporaryFolder folder;
  const auto pets = folder / "pets";
  for (const auto* label : {"cat", "dog"}) {
    for (int i = 0; i < 12; ++i) {
      write_random_png(pets / label / (std::to_string(i) + ".png"), 8, 8, static_cast<uint64_t>(i));
    }
  }
  const auto train = [&](const std::string& data) {
    return run_program(Words{"train", "--dataset", "folder", "--data-dir", data, "--output",
                             (folder / "runs").string(), "--experiment", "a", "--batch-size", "4",
                             "--max-steps", "2"} +
                       tiny_model_flags());
  };
  ASSERT_TRUE(succeeds(train(pets.string())));
  EXPECT_TRUE(succeeds(train(pets.string() + "/")));
  std::filesystem::rename(pets, folder / "moved");
  EXPECT_TRUE(succeeds(train((folder / "moved/.").string())));
  std::filesystem::rename(folder / "moved" / "cat", folder / "moved" / "yak");
  EXPECT_TRUE(ends_with_one_error(train((folder / "moved").string()), 1,
                                  {"class 0: expected 'cat', found 'dog'"}));
  std::filesystem::rename(folder / "moved" / "yak", folder / "moved" / "cat");
  std::filesystem::remove(folder / "moved" / "cat" / "3.png");
  EXPECT_TRUE(ends_with_one_error(train((folder / "moved").string()), 1,
                                  {"training images", "as it began with"}));
}

TEST(Resume, FallsBackToAnOlderCheckpoint) {
  const TemporaryFolder folder;
  const Words more{"--checkpoint-interval", "0.2"};
  ASSERT_TRUE(succeeds(run_program(random_training(folder / "whole") + more)));
  train_in_pieces(random_training(folder / "pieces") + more, SIGINT, 13);
  const auto last = folder / "pieces" / "run" / "last.h5";
  std::filesystem::resize_file(last, std::filesystem::file_size(last) / 2);
  const auto run = run_program(random_training(folder / "pieces") + more);
  EXPECT_TRUE(succeeds(run));
  EXPECT_THAT(run.error, HasSubstr("falling back to "));
  expect_same_run(folder / "pieces" / "run", folder / "whole" / "run");
}

TEST(Resume, ALossThatIsNotFiniteNamesCommandsThatWork) {
  const TemporaryFolder folder;
  const auto train = [&](const Words& more) {
    return run_program(tiny_training(folder.path()) +
                       Words{"--lr", "1e30", "--sched", "constant", "--max-steps", "4"} + more);
  };
  const auto stopped = train({});
  ASSERT_TRUE(ends_with_one_error(stopped, 1, {"the loss is", "nan-", "--on-nan skip"}));
  auto advised = advised_words(stopped.error, "begins anew: softmoe ", "\n");
  ASSERT_EQ(advised.back(), "2.5e+29");
  advised.back() = "1e-3";
  EXPECT_TRUE(succeeds(run_program(advised)));
  EXPECT_TRUE(std::filesystem::exists(folder / "run-2" / "last.h5"));
}

}  // namespace
}  // namespace softmoe::test
