/// Grids of runs, by the program as a user runs it.

#include <gmock/gmock.h>

#include "cli/tiny.h"
#include "core/options.h"
#include "io/atomic_file.h"
#include "support/temporary_folder.h"

namespace softmoe::test {
namespace {

using testing::HasSubstr;

/// A study of two arms and two seeds on the embedded digits, as a config file.
std::string study_text(const std::filesystem::path& output) {
  return "title = \"soft or hashed\"\n"
         "command = \"train\"\n"
         "set = [\"dataset=digits\", \"model=vit_ti16\", \"img-size=8\", \"in-chans=1\",\n"
         "       \"patch-size=4\", \"dim=16\", \"depth=2\", \"heads=2\", \"mlp-dim=32\",\n"
         "       \"batch-size=32\", \"epochs=1\", \"max-steps=8\", \"workers=0\"]\n"
         "arms = [\"soft: moe-blocks=1; experts=2; slots-per-expert=2\",\n"
         "        \"hash: moe-blocks=1; experts=2; router=hash_random\"]\n"
         "then = [\"fewshot; dataset=digits; shots=1; fewshot-seeds=2; "
         "checkpoint={run}/last.h5\"]\n"
         "measures = [\"top-1 %: 0:/result/last/top1\",\n"
         "            \"1 shot %: 1:/results/0/accuracy_mean\",\n"
         "            \"steps: 0:/result/steps\"]\n"
         "seeds = 2\n"
         "output = \"" +
         output.string() + "\"\n";
}

class Sweep : public testing::Test {
 protected:
  Sweep() { write_text_file(config(), study_text(study())); }

  std::filesystem::path study() const { return folder_ / "study"; }
  std::string config() const { return (folder_ / "study.toml").string(); }
  ProgramRun sweep(const Words& more = {}) const {
    return run_program(Words{"sweep", "--config", config()} + more);
  }

  TemporaryFolder folder_;
};

TEST_F(Sweep, RunsEveryCellOnceAndShowsWhatTheyReach) {
  const auto json = (folder_ / "sweep.json").string();
  const auto first = sweep({"--json", json});
  ASSERT_TRUE(succeeds(first));
  EXPECT_THAT(first.output, HasSubstr("soft or hashed"));
  EXPECT_THAT(first.output, HasSubstr("mean \u00b1 standard deviation over 2 seeds"));
  const auto rows = Json::parse(read_text_file(json)).at("rows");
  ASSERT_EQ(rows.size(), 2U);
  for (const auto& row : rows) {
    for (const auto& [label, value] : row.at("measures").items()) {
      EXPECT_EQ(value.at("count"), 2) << label;
    }
    EXPECT_EQ(row.at("measures").at("steps").at("mean"), 8.0);
  }
  for (const char* name : {"table.md", "plot.svg", "results.json"}) {
    EXPECT_TRUE(std::filesystem::exists(study() / name)) << name;
  }
  // What is there is not run again; what is missing is.
  const auto kept = study() / "cells" / "soft-s0.0.json";
  const auto removed = study() / "cells" / "hash-s1.1.json";
  const auto time = std::filesystem::last_write_time(kept);
  std::filesystem::remove(removed);
  const auto second = sweep();
  ASSERT_TRUE(succeeds(second));
  EXPECT_EQ(second.output, first.output);
  EXPECT_EQ(std::filesystem::last_write_time(kept), time);
  EXPECT_TRUE(std::filesystem::exists(removed));
}

TEST_F(Sweep, GivesEveryArmTheTimeOfOne) {
  ASSERT_TRUE(succeeds(sweep({"--seeds", "1", "--equal-time", "soft"})));
  const auto table = read_text_file(study() / "table.md");
  EXPECT_THAT(table, HasSubstr("| hash, equal time |"));
  EXPECT_THAT(table, testing::Not(HasSubstr("| soft, equal time |")));
}

TEST_F(Sweep, NamesACellThatFailsAndGoesOn) {
  const auto run = sweep({"--seeds", "1", "--arms", "soft: moe-blocks=1; experts=2",
                          "wrong: router=magic; moe-blocks=1; experts=2"});
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.error_lines().back(), HasSubstr("1 of the runs failed, wrong-s0 first"));
  EXPECT_THAT(run.error, HasSubstr("wrong-s0 failed (2): softmoe: --router: "));
  EXPECT_THAT(run.error, HasSubstr("magic"));
  EXPECT_TRUE(std::filesystem::exists(study() / "cells" / "soft-s0.0.json"));
}

TEST_F(Sweep, AnInterruptStopsTheRunningCellsAfterTheyHaveSaved) {
  const Words endless{
      "--seeds",    "1",          "--set",         "dataset=digits", "model=vit_ti16",
      "img-size=8", "in-chans=1", "patch-size=4",  "dim=16",         "depth=2",
      "heads=2",    "mlp-dim=32", "batch-size=32", "epochs=1000000", "log-interval=2",
      "workers=0"};
  const auto run_folder = study() / "runs" / "soft-s0";
  const auto run = run_program(Words{"sweep", "--config", config()} + endless,
                               {.interrupt_when = [&](const std::string&) {
                                 return std::filesystem::exists(run_folder / "metrics.jsonl");
                               }});
  EXPECT_EQ(run.exit_code, 130);
  EXPECT_THAT(run.error_lines().back(), HasSubstr("the same command started again"));
  EXPECT_TRUE(std::filesystem::exists(run_folder / "last.h5"));
}

TEST_F(Sweep, RefusesResultsOfOtherSettings) {
  ASSERT_TRUE(succeeds(sweep({"--seeds", "1"})));
  const auto set = Words{"--set", "dataset=digits", "lr=0.5"};
  EXPECT_TRUE(fails_with_one_line(sweep(Words{"--seeds", "1"} + set), 2,
                                  {"soft-s0.0.json", "made with other settings"}));
}

TEST_F(Sweep, RefusesAStudyThatCannotBeRead) {
  EXPECT_TRUE(fails_with_one_line(sweep({"--arms", "nameless"}), 2, {"arms", "nameless"}));
  EXPECT_TRUE(fails_with_one_line(sweep({"--measures", "top: 7:/x"}), 2, {"measures", "7:/x"}));
  EXPECT_TRUE(fails_with_one_line(run_program({"sweep", "--arms"}), 2, {"--arms"}));
}

}  // namespace
}  // namespace softmoe::test
