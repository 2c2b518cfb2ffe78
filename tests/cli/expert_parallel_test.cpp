/// Training of the real program with experts shared out over several processes.

#include <gmock/gmock.h>

#include "cli/parallel_runs.h"
#include "io/atomic_file.h"
#include "support/temporary_folder.h"

namespace softmoe::test {
namespace {

using testing::HasSubstr;

const Words kPairs{"--expert-parallel", "2"};

struct ExpertParallelCase {
  std::string name;
  Words flags;
  std::vector<int64_t> processes{2};
  Words of_several = kPairs;
};

void PrintTo(const ExpertParallelCase& value, std::ostream* out) { *out << value.name; }

class ExpertParallelTraining : public testing::TestWithParam<ExpertParallelCase> {};

TEST_P(ExpertParallelTraining, ComesToWhatOneProcessComesTo) {
  const auto& [name, flags, processes, of_several] = GetParam();
  expect_same_runs(flags, processes, of_several);
}

// The batches of 33 are of 8 and 9 images, and the last ones of an evaluation do not reach all.
INSTANTIATE_TEST_SUITE_P(
    All, ExpertParallelTraining,
    testing::Values(
        ExpertParallelCase{"soft", {"--experts", "4"}, {2, 4}},
        ExpertParallelCase{"tokens_choice",
                           {"--experts", "4", "--router", "tokens_choice", "--group-images", "8"},
                           {4}},
        ExpertParallelCase{"experts_choice", {"--experts", "4", "--router", "experts_choice"}},
        ExpertParallelCase{"uneven_batches",
                           {"--experts", "4", "--batch-size", "33"},
                           {4},
                           {"--expert-parallel", "4"}},
        ExpertParallelCase{
            "sinkhorn", {"--experts", "4", "--router", "sinkhorn", "--group-images", "8"}, {2}},
        ExpertParallelCase{"everything",
                           {"--experts", "4", "--grad-accum-steps", "2", "--clip-grad", "0.5",
                            "--model-ema", "--model-ema-decay", "0.9", "--grad-checkpointing",
                            "--drop-path", "0.2", "--router-noise", "0.5", "--sam-rho", "0.05"},
                           {4}}),
    [](const auto& test) { return test.param.name; });

TEST(ExpertParallel, GoesOnInAnyNumberOfProcesses) {
  const TemporaryFolder folder;
  const Words flags{"--experts", "6", "--model-ema", "--model-ema-decay", "0.9"};
  ASSERT_TRUE(succeeds(run_program(plain_training(folder / "whole") + flags)));
  const auto train = plain_training(folder / "pieces") + flags;
  const auto first = run_program(launched(2, train + kPairs), interrupted_at("   5"));
  EXPECT_EQ(first.exit_code, 130) << first.error;
  const auto second =
      run_program(launched(3, train + Words{"--expert-parallel", "3"}), interrupted_at("  12"));
  EXPECT_EQ(second.exit_code, 130) << second.error;
  ASSERT_TRUE(succeeds(run_program(train)));
  expect_same_outcome(outcome_of(folder / "pieces"), outcome_of(folder / "whole"));
}

TEST(ExpertParallel, IsRefusedInOneLineWhereItDoesNotFit) {
  const TemporaryFolder folder;
  const auto run = run_program(launched(2, plain_training(folder.path()) + kPairs));
  EXPECT_EQ(run.exit_code, 2) << run.error;
  EXPECT_THAT(run.error, HasSubstr("softmoe: --expert-parallel: expected a divisor of --experts 3, "
                                   "found 2"));
  EXPECT_FALSE(std::filesystem::exists(folder / "run"));
}

TEST(ExpertParallel, SendsWhatThePlanSays) {
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
    const bool is_short = processes == 4;  // then in bf16: half the bytes
    const auto name = "run" + std::to_string(processes);
    const Words dtypes{"--exchange-dtype", "bfloat16", "--reduce-dtype", "bfloat16"};
    const auto run =
        json(name, launched(processes, plain_training(folder / name) + wide + kPairs +
                                           (is_short ? dtypes : Words()) +
                                           Words{"--max-steps", "3", "--eval-interval", "9"}));
    const auto share = is_short ? 0.5 : 1.0;
    const auto planned = [&](const char* key) { return share * row.at(key).get<double>(); };
    const auto sent = [&](const char* key) { return run.at("result").at(key).get<double>(); };
    EXPECT_EQ(sent("exchanged_bytes_per_update"), planned("exchanged_bytes")) << processes;
    EXPECT_NEAR(sent("summed_bytes_per_update"), planned("summed_bytes"),
                0.02 * planned("summed_bytes"))
        << processes;
  }
}

}  // namespace
}  // namespace softmoe::test
