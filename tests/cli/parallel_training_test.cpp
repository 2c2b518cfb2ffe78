/// Training in several processes of the real program: what they come to, and how they end.

#include <gmock/gmock.h>

#include <csignal>
#include <fstream>
#include <iterator>
#include <thread>

#include "checkpoints/checkpoint.h"
#include "cli/tiny.h"
#include "core/split_text.h"
#include "io/atomic_file.h"
#include "parallel/ranks.h"
#include "support/peers.h"
#include "support/temporary_folder.h"

namespace softmoe::test {
namespace {

using testing::HasSubstr;

/// 20 updates whose weights are a continuous function of the gradients, unlike those of AdamW,
/// which makes large steps of gradients that are nothing but rounding.
Words plain_training(const std::filesystem::path& output) {
  return tiny_training(output) +
         Words{"--max-steps", "20",   "--log-interval", "1",  "--opt",           "sgd",
               "--lr",        "0.05", "--batch-size",   "32", "--warmup-epochs", "0"};
}

Words launched(int64_t processes, const Words& words) {
  return Words{"launch", "-n", std::to_string(processes)} + words;
}

/// The losses and the last weights of the run in `folder`.
struct Outcome {
  std::vector<double> losses;
  std::vector<double> norms;
  std::string evaluations;
  Checkpoint last;
};

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

/// Losses, gradient norms, weights, averages and evaluations agree within 1e-6.
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

struct ParallelCase {
  std::string name;
  Words flags;
  std::vector<int64_t> processes{2};
  Words of_several{};  ///< flags of the runs of several processes alone
};

void PrintTo(const ParallelCase& value, std::ostream* out) { *out << value.name; }

class ParallelTraining : public testing::TestWithParam<ParallelCase> {};

TEST_P(ParallelTraining, ComesToWhatOneProcessComesTo) {
  const TemporaryFolder folder;
  const auto& [case_name, flags, counts, of_several] = GetParam();
  ASSERT_TRUE(succeeds(run_program(plain_training(folder / "one") + flags)));
  const auto one = outcome_of(folder / "one");
  EXPECT_EQ(one.losses.size(), 20);
  for (const auto processes : counts) {
    const auto name = std::to_string(processes);
    ASSERT_TRUE(succeeds(
        run_program(launched(processes, plain_training(folder / name) + flags + of_several))));
    expect_same_outcome(outcome_of(folder / name), one);
  }
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

const Words kPairs{"--expert-parallel", "2"};

// The batches of 33 are of 8 and 9 images, and the last ones of an evaluation do not reach all.
INSTANTIATE_TEST_SUITE_P(
    SharedExperts, ParallelTraining,
    testing::Values(
        ParallelCase{"soft", {"--experts", "4"}, {2, 4}, kPairs},
        ParallelCase{"soft_of_four", {"--experts", "4"}, {4}, {"--expert-parallel", "4"}},
        ParallelCase{"tokens_choice",
                     {"--experts", "4", "--router", "tokens_choice", "--group-images", "8"},
                     {4},
                     kPairs},
        ParallelCase{"uneven_batches",
                     {"--experts", "4", "--batch-size", "33", "--router", "experts_choice"},
                     {4},
                     kPairs},
        ParallelCase{"sinkhorn",
                     {"--experts", "4", "--router", "sinkhorn", "--group-images", "8"},
                     {2},
                     kPairs},
        ParallelCase{"everything",
                     {"--experts", "4", "--grad-accum-steps", "2", "--clip-grad", "0.5",
                      "--model-ema", "--model-ema-decay", "0.9", "--grad-checkpointing",
                      "--drop-path", "0.2", "--router-noise", "0.5", "--sam-rho", "0.05"},
                     {4},
                     kPairs}),
    [](const auto& test) { return test.param.name; });

TEST(ParallelResume, ASignalSavesAndAnyNumberOfProcessesGoesOn) {
  const TemporaryFolder folder;
  const Words flags{"--model-ema", "--model-ema-decay", "0.9", "--drop-path", "0.1"};
  ASSERT_TRUE(succeeds(run_program(plain_training(folder / "whole") + flags)));
  const auto train = plain_training(folder / "pieces") + flags;
  const auto interrupted_at = [](const std::string& update) {
    return ProgramSetting{.interrupt_when = [update](const std::string& text) {
      return text.find("[" + update + "/") != std::string::npos;
    }};
  };
  const auto first = run_program(launched(2, train), interrupted_at("   5"));
  EXPECT_EQ(first.exit_code, 130) << first.error;
  EXPECT_THAT(first.error, HasSubstr("interrupted after update"));
  const auto second = run_program(train, interrupted_at("  12"));
  EXPECT_EQ(second.exit_code, 130) << second.error;
  ASSERT_TRUE(succeeds(run_program(launched(3, train))));
  expect_same_outcome(outcome_of(folder / "pieces"), outcome_of(folder / "whole"));
}

TEST(ParallelResume, SharedExpertsGoOnInAnyNumberOfProcesses) {
  const TemporaryFolder folder;
  const Words flags{"--experts", "6", "--model-ema", "--model-ema-decay", "0.9"};
  ASSERT_TRUE(succeeds(run_program(plain_training(folder / "whole") + flags)));
  const auto train = plain_training(folder / "pieces") + flags;
  const auto interrupted_at = [](const std::string& update) {
    return ProgramSetting{.interrupt_when = [update](const std::string& text) {
      return text.find("[" + update + "/") != std::string::npos;
    }};
  };
  const auto first = run_program(launched(2, train + kPairs), interrupted_at("   5"));
  EXPECT_EQ(first.exit_code, 130) << first.error;
  const auto second =
      run_program(launched(3, train + Words{"--expert-parallel", "3"}), interrupted_at("  12"));
  EXPECT_EQ(second.exit_code, 130) << second.error;
  ASSERT_TRUE(succeeds(run_program(train)));
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

TEST(SharedExperts, AreRefusedInOneLineWhereTheyDoNotFit) {
  const TemporaryFolder folder;
  const auto refused = [&](const Words& flags, const std::string& expected) {
    const auto run = run_program(launched(2, plain_training(folder.path()) + flags));
    EXPECT_EQ(run.exit_code, 2) << run.error;
    EXPECT_THAT(run.error, HasSubstr("softmoe: --expert-parallel: expected " + expected));
    EXPECT_FALSE(std::filesystem::exists(folder / "run"));
  };
  refused({"--expert-parallel", "3"}, "a divisor of the number of processes, 2, found 3");
  refused(kPairs, "a divisor of --experts 3, found 2");
  refused(kPairs + Words{"--moe-blocks", "none"}, "1 for a model without MoE layers");
  refused(kPairs + Words{"--experts", "4", "--router", "smear"}, "1 with --router smear");
  refused(kPairs + Words{"--experts", "4", "--opt", "lamb"}, "1 with --opt lamb");
  EXPECT_TRUE(fails_with_one_line(run_program(plain_training(folder.path()) + kPairs), 2,
                                  {"--expert-parallel: expected a divisor of the number of "
                                   "processes, 1, found 2"}));
}

TEST(SharedExperts, SendWhatThePlanSays) {
  const TemporaryFolder folder;
  const auto json = [&](const std::string& name, const Words& words) {
    const auto path = folder / (name + ".json");
    EXPECT_TRUE(succeeds(run_program(words + Words{"--json", path.string()})));
    return Json::parse(read_text_file(path));
  };
  auto sizes = tiny_model_flags();
  sizes.erase(sizes.begin(), sizes.begin() + 2);  // --model NAME
  const Words wide{"--dim", "64", "--mlp-dim", "128", "--experts", "4"};
  const auto plan = json("plan", Words{"benchmark", "--plan", "--models", "vit_ti16", "--processes",
                                       "2", "4", "--num-classes", "10", "--compute-dtype",
                                       "float32", "--batch-size", "32", "--opt", "sgd"} +
                                     kPairs + sizes + wide);
  for (const auto& row : plan.at("plans").at(0).at("rows")) {
    const auto processes = row.at("processes").get<int64_t>();
    const auto name = "run" + std::to_string(processes);
    const auto run =
        json(name, launched(processes, plain_training(folder / name) + wide + kPairs +
                                           Words{"--max-steps", "3", "--eval-interval", "9"}));
    const auto& result = run.at("result");
    EXPECT_EQ(result.at("exchanged_bytes_per_update"), row.at("exchanged_bytes")) << processes;
    const auto summed = row.at("summed_bytes").get<double>();
    EXPECT_NEAR(result.at("summed_bytes_per_update").get<double>(), summed, 0.02 * summed)
        << processes;
  }
}

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
