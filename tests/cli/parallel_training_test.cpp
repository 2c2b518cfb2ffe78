/// Training in several processes of the real program: what they come to, and how they end.

#include <gmock/gmock.h>

#include <csignal>
#include <fstream>
#include <iterator>
#include <thread>

#include "cli/parallel_runs.h"
#include "parallel/ranks.h"
#include "support/peers.h"
#include "support/temporary_folder.h"

namespace softmoe::test {
namespace {

using testing::HasSubstr;

struct ParallelCase {
  std::string name;
  Words flags;
  std::vector<int64_t> processes{2};
};

void PrintTo(const ParallelCase& value, std::ostream* out) { *out << value.name; }

class ParallelTraining : public testing::TestWithParam<ParallelCase> {};

TEST_P(ParallelTraining, ComesToWhatOneProcessComesTo) {
  expect_same_runs(GetParam().flags, GetParam().processes, {});
}

INSTANTIATE_TEST_SUITE_P(
    All, ParallelTraining,
    testing::Values(
        ParallelCase{"dense", {"--moe-blocks", "none"}, {3}}, ParallelCase{"soft", {}, {2, 4}},
        ParallelCase{"tokens_choice", {"--router", "tokens_choice", "--group-images", "8"}},
        ParallelCase{"experts_choice", {"--router", "experts_choice"}},
        ParallelCase{"random_numbers",
                     {"--drop-path", "0.2", "--router-noise", "0.5", "--router", "tokens_choice",
                      "--group-images", "8", "--jitter", "0.1", "--hflip", "0.5"}},
        ParallelCase{"dropout", {"--moe-blocks", "none", "--drop", "0.1"}, {3}},
        ParallelCase{"everything",
                     {"--grad-accum-steps", "2", "--clip-grad", "0.5", "--model-ema",
                      "--model-ema-decay", "0.9", "--grad-checkpointing", "--workers", "2"}}),
    [](const auto& test) { return test.param.name; });

TEST(ParallelResume, ASignalSavesAndAnyNumberOfProcessesGoesOn) {
  const TemporaryFolder folder;
  const Words flags{"--model-ema", "--model-ema-decay", "0.9", "--drop-path", "0.1"};
  ASSERT_TRUE(succeeds(run_program(plain_training(folder / "whole") + flags)));
  const auto train = plain_training(folder / "pieces") + flags;
  const auto first = run_program(launched(2, train), interrupted_at("   5"));
  EXPECT_EQ(first.exit_code, 130) << first.error;
  EXPECT_THAT(first.error, HasSubstr("interrupted after update"));
  const auto second = run_program(train, interrupted_at("  12"));
  EXPECT_EQ(second.exit_code, 130) << second.error;
  ASSERT_TRUE(succeeds(run_program(launched(3, train))));
  expect_same_outcome(outcome_of(folder / "pieces"), outcome_of(folder / "whole"));
}

/// The process of `rank` among those whose environment has `mark`; -1: there is none.
pid_t process_of_rank(const std::string& mark, int64_t rank) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::ifstream file(entry.path() / "environ", std::ios::binary);
    const std::string variables(std::istreambuf_iterator<char>(file), {});
    const auto has = [&](const std::string& variable) {
      return (std::string(1, '\0') + variables).find('\0' + variable + '\0') != std::string::npos;
    };
    if (has("SOFTMOE_TEST=" + mark) && has("RANK=" + std::to_string(rank))) {
      return std::stoi(entry.path().filename().string());
    }
  }
  return -1;
}

/// A run of three processes that would last for hours, in which `rank` gets `signal` after some
/// updates.
ProgramRun run_with_fault(const std::filesystem::path& folder, int64_t rank, int signal,
                          const Words& flags = {}) {
  const auto mark = folder.string();
  bool is_sent = false;
  return run_program(launched(3, tiny_training(folder) +
                                     Words{"--epochs", "1000000", "--log-interval", "1"} + flags),
                     {.environment = {{"SOFTMOE_TEST", mark}, {"SOFTMOE_RANK_TIMEOUT", "3"}},
                      .interrupt_when =
                          [&](const std::string& text) {
                            if (!is_sent && text.find("Train: ") != std::string::npos) {
                              is_sent = ::kill(process_of_rank(mark, rank), signal) == 0;
                            }
                            return false;
                          },
                      .timeout = std::chrono::seconds(100)});
}

TEST(ParallelFault, AKilledRankEndsTheOthersWhichNameIt) {
  for (const int64_t rank : {0, 2}) {
    const TemporaryFolder folder;
    const auto run = run_with_fault(folder.path(), rank, SIGKILL,
                                    rank == 2 ? Words{"--expert-parallel", "3"} : Words());
    EXPECT_EQ(run.exit_code, 1) << run.error;
    const auto name = "rank " + std::to_string(rank);
    EXPECT_THAT(run.error, HasSubstr(name + " was ended by signal 9"));
    EXPECT_THAT(run.error, HasSubstr("rank 1: " + name + " gave no sign of life")) << run.error;
  }
}

TEST(ParallelFault, AStoppedRankEndsTheOthersWhichNameIt) {
  const TemporaryFolder folder;
  const auto run = run_with_fault(folder.path(), 1, SIGSTOP);
  EXPECT_EQ(run.exit_code, 1) << run.error;
  EXPECT_THAT(run.error, HasSubstr("softmoe: rank 1 gave no sign of life for 3 s"));
  EXPECT_THAT(run.error, HasSubstr("softmoe: rank 2: rank 1 gave no sign of life for 3 s"));
}

/// Runs the program as each rank, with more flags per rank.
std::vector<ProgramRun> run_as_ranks(const Words& words, const std::vector<Words>& flags) {
  std::vector<ProgramRun> runs(flags.size());
  std::vector<std::thread> threads;
  const auto port = std::to_string(free_port());
  for (size_t rank = 0; rank < flags.size(); ++rank) {
    threads.emplace_back([&, rank] {
      runs[rank] = run_program(words + flags[rank],
                               {.environment = {{"RANK", std::to_string(rank)},
                                                {"WORLD_SIZE", std::to_string(flags.size())},
                                                {"MASTER_ADDR", "127.0.0.1"},
                                                {"MASTER_PORT", port},
                                                {"GLOO_SOCKET_IFNAME", "lo"}}});
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  return runs;
}

TEST(ParallelFault, RanksThatDisagreeEndInOneLineThatNamesTheRank) {
  const TemporaryFolder folder;
  const auto runs = run_as_ranks(plain_training(folder.path()), {{}, {"--lr", "0.1"}});
  for (const auto& run : runs) {
    EXPECT_TRUE(
        ends_with_one_error(run, 1, {"rank 1: --lr: expected 0.05 as on rank 0, found 0.1"}));
  }
}

TEST(ParallelFault, ARankWithoutADiskToWriteToEndsTheOthers) {
  const TemporaryFolder folder;
  std::ofstream(folder / "file") << "no folder";
  const auto runs = run_as_ranks(plain_training(folder / "file"), {{}, {}});
  EXPECT_EQ(runs[0].exit_code, 1);
  EXPECT_TRUE(ends_with_one_error(runs[1], 1, {"rank 1: rank 0 ended: ", "file"}));
}

TEST(ParallelFinetuning, ComesToWhatOneProcessComesTo) {
  const TemporaryFolder folder;
  write_tiny_checkpoint(folder / "tiny.h5");
  const auto finetune = [&](const std::string& name) {
    return Words{"finetune",       (folder / "tiny.h5").string(),
                 "--dataset",      "digits",
                 "--output",       (folder / name).string(),
                 "--experiment",   "run",
                 "--max-steps",    "6",
                 "--log-interval", "1",
                 "--opt",          "sgd",
                 "--lr",           "0.05",
                 "--batch-size",   "32",
                 "--threads",      "1",
                 "--amp-dtype",    "float32"};
  };
  ASSERT_TRUE(succeeds(run_program(finetune("one"))));
  ASSERT_TRUE(succeeds(run_program(launched(2, finetune("two")))));
  expect_same_outcome(outcome_of(folder / "two"), outcome_of(folder / "one"));
}

struct Refusal {
  std::string name;
  Words flags;
  std::string flag;
};

void PrintTo(const Refusal& value, std::ostream* out) { *out << value.name; }

class ParallelRefusal : public testing::TestWithParam<Refusal> {};

TEST_P(ParallelRefusal, OfWhatLooksAtWholeBatches) {
  const TemporaryFolder folder;
  const auto run = run_program(launched(2, plain_training(folder.path()) + GetParam().flags));
  EXPECT_EQ(run.exit_code, 2) << run.error;
  EXPECT_THAT(run.error, HasSubstr("softmoe: " + GetParam().flag + ": expected "));
  EXPECT_THAT(run.error, HasSubstr("with 2 processes"));
  EXPECT_FALSE(std::filesystem::exists(folder / "run"));
}

INSTANTIATE_TEST_SUITE_P(
    All, ParallelRefusal,
    testing::Values(Refusal{"mixup", {"--mixup", "0.2"}, "--mixup"},
                    Refusal{"sinkhorn", {"--router", "sinkhorn"}, "--group-images"},
                    Refusal{"relu", {"--router", "relu"}, "--router"},
                    Refusal{"small_batch", {"--batch-size", "1"}, "--batch-size"}),
    [](const auto& test) { return test.param.name; });

TEST(Launch, RefusesWhatItCannotRun) {
  EXPECT_TRUE(fails_with_one_line(run_program({"launch", "-n", "2"}), 2, {"a command to run"}));
  EXPECT_TRUE(fails_with_one_line(run_program({"launch", "-n", "0", "train"}), 2, {"processes"}));
  EXPECT_TRUE(fails_with_one_line(run_program({"launch", "--threads", "2", "train"}), 2,
                                  {"--threads: expected a place behind the command"}));
  EXPECT_TRUE(fails_with_one_line(run_program({"models"}, {.environment = {{"RANK", "1"},
                                                                           {"WORLD_SIZE", "2"},
                                                                           {"MASTER_ADDR", "here"},
                                                                           {"MASTER_PORT", "1"}}}),
                                  2, {"softmoe models: expected one process, found rank 1 of 2"}));
}

TEST(Torchrun, StartsTheProgramAsItIs) {
  const auto python = peers_python();
  const auto torchrun = std::filesystem::path(python.value_or("")).parent_path() / "torchrun";
  if (!python || !std::filesystem::exists(torchrun)) {
    GTEST_SKIP() << kNoPeers;
  }
  const TemporaryFolder folder;
  ASSERT_TRUE(succeeds(run_program(launched(2, plain_training(folder / "launched")))));
  const auto run =
      run_program(Words{"--standalone", "--nproc-per-node=2", "--no-python", SOFTMOE_PROGRAM} +
                      plain_training(folder / "torchrun"),
                  {.executable = torchrun.string()});
  EXPECT_EQ(run.exit_code, 0) << run.error;
  expect_same_outcome(outcome_of(folder / "torchrun"), outcome_of(folder / "launched"));
}

}  // namespace
}  // namespace softmoe::test
