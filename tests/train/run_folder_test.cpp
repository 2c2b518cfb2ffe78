#include "train/run_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <clocale>
#include <limits>
#include <map>
#include <set>

#include "core/error.h"
#include "io/atomic_file.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/temporary_folder.h"
#include "tests/train/event_reader.h"
#include "tests/train/run_folder_support.h"

namespace softmoe::test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

const std::string kHeader =
    "epoch,step,train_loss,eval_loss,eval_top1,eval_top5,lr,eval_balanced_accuracy\n";

/// A run of 12 updates: metrics after every second, an evaluation after every third, a checkpoint
/// after every fourth. Numbers are such that each takes all its digits to print.
class FolderRun {
 public:
  explicit FolderRun(const fs::path& path) : folder_(path) {}

  /// Trains from the last checkpoint to update `until` and stops without saving.
  void sit(int64_t until) {
    int64_t step =
        folder_.has_checkpoint() ? std::stoll(read_text_file(folder_.last_checkpoint())) : 0;
    folder_.begin(step);
    while (step < until) {
      ++step;
      record(step);
      if (step % 4 == 0) {
        folder_.flush();
        folder_.save_checkpoint(step, step == 8, /*hist=*/2, writer(std::to_string(step)));
      }
    }
  }

  /// The files that must not depend on interruptions.
  std::map<std::string, std::string> outcome() const {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::directory_iterator(folder_.path())) {
      const auto name = entry.path().filename().string();
      if (!name.starts_with("events.")) {
        files[name] = read_text_file(entry.path());
      }
    }
    return files;
  }

 private:
  void record(int64_t step) {
    const auto value = static_cast<double>(step);
    if (step % 2 == 0) {
      folder_.add_metrics({{"step", step}, {"train_loss", std::exp(-value)}});
      folder_.add_timing({{"step", step}, {"train_seconds", value}});
      folder_.add_scalar("train/loss", std::exp(-value), step);
    }
    if (step % 3 == 0) {
      folder_.add_summary({.epoch = value / 7,
                           .step = step,
                           .train_loss = std::sqrt(value),
                           .eval_loss = std::log(value),
                           .eval_top1 = 1 - 1 / value,
                           .eval_top5 = 1.0,
                           .lr = 1e-3 / value,
                           .eval_balanced_accuracy = 1 - 2 / value});
    }
  }

  RunFolder folder_;
};

TEST(RunFolder, InterruptedAnywhereAndResumedEqualsUninterrupted) {
  const TemporaryFolder folder;
  FolderRun whole(folder / "whole");
  whole.sit(12);
  const auto expected = whole.outcome();
  ASSERT_EQ(expected.size(), 8U);  // four records, last, best, two of the history
  for (int64_t death = 0; death <= 12; ++death) {
    const auto path = folder / ("run" + std::to_string(death));
    { FolderRun(path).sit(death); }
    FolderRun run(path);
    run.sit(12);
    EXPECT_EQ(run.outcome(), expected) << "died after update " << death;
  }
}

TEST(RunFolder, CrashThatTearsTheLastLineIsRepaired) {
  const TemporaryFolder folder;
  FolderRun whole(folder / "whole");
  whole.sit(12);
  const auto expected = whole.outcome();
  for (const std::string name : {"metrics.jsonl", "summary.csv", "timing.jsonl"}) {
    { FolderRun(folder / name).sit(11); }
    const auto path = folder / name / name;
    auto text = read_text_file(path);
    // The last record is newer than the checkpoint after update 8; no byte of it may matter.
    const auto start = text.rfind('\n', text.size() - 2) + 1;
    for (size_t size = start; size < text.size(); size += 5) {
      write_text_file(path, text.substr(0, size));
      { RunFolder(folder / name).begin(8); }
      const auto kept = read_text_file(path);
      EXPECT_TRUE(kept.ends_with('\n') && text.starts_with(kept)) << name << " cut to " << size;
    }
    FolderRun run(folder / name);
    run.sit(12);
    EXPECT_EQ(run.outcome(), expected) << name;
  }
}

TEST(RunFolder, SummaryWithATornHeaderBeginsAnew) {
  const TemporaryFolder folder;
  write_text_file(folder / "summary.csv", "epoch,st");
  { RunFolder(folder.path()).begin(5); }
  EXPECT_EQ(read_text_file(folder / "summary.csv"), kHeader);
}

TEST(RunFolder, ReplacesNoConfigThatNoRunHasWritten) {
  const TemporaryFolder folder;
  const auto config = folder / "config.toml";
  write_text_file(config, "# my notes\nlr = 1\n");
  const auto begin = [&](const std::string& options) {
    RunFolder run(folder.path());
    run.set_config(options);
    run.begin(0);
  };
  EXPECT_THAT(input_error([&] { begin("lr = 2.0\n"); }),
              AllOf(HasSubstr(config.string()), HasSubstr("--experiment")));
  EXPECT_EQ(read_text_file(config), "# my notes\nlr = 1\n");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()), 1);
  // That of a run is replaced, also if the run has no checkpoint yet.
  fs::remove(config);
  begin("lr = 2.0\n");
  begin("lr = 3.0\n");
  EXPECT_EQ(read_text_file(config), "lr = 3.0\n");
}

TEST(RunFolder, StepZeroStartsRecordsAnew) {
  const TemporaryFolder folder;
  { FolderRun(folder.path()).sit(3); }
  RunFolder run(folder.path());
  run.begin(0);
  EXPECT_EQ(read_text_file(folder / "metrics.jsonl"), "");
  EXPECT_EQ(read_text_file(folder / "timing.jsonl"), "");
  EXPECT_EQ(read_text_file(folder / "summary.csv"), kHeader);
}

TEST(RunFolder, NumbersReadBackExactlyWhateverTheLocale) {
  const TemporaryFolder folder;
  const double third = 1.0 / 3;
  const double tiny = std::numeric_limits<double>::denorm_min();
  // A locale with a decimal comma, if the machine has one.
  const std::string old_locale = std::setlocale(LC_ALL, nullptr);
  for (const char* name : {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8"}) {
    if (std::setlocale(LC_ALL, name) != nullptr) {
      break;
    }
  }
  {
    RunFolder run(folder.path());
    run.begin(0);
    run.add_metrics({{"step", 7}, {"loss", third}, {"lr", tiny}, {"share", 1.0}});
    run.add_summary({.epoch = 0.5,
                     .step = 7,
                     .train_loss = third,
                     .eval_loss = std::numeric_limits<double>::quiet_NaN(),
                     .eval_top1 = 0.1,
                     .eval_top5 = 1,
                     .lr = tiny,
                     .eval_balanced_accuracy = 0.25});
  }
  std::setlocale(LC_ALL, old_locale.c_str());
  const auto line = read_text_file(folder / "metrics.jsonl");
  EXPECT_EQ(line, "{\"step\":7,\"loss\":0.3333333333333333,\"lr\":5e-324,\"share\":1.0}\n");
  EXPECT_EQ(Json::parse(line).at("loss").get<double>(), third);
  EXPECT_EQ(read_text_file(folder / "summary.csv"),
            kHeader + "0.5,7,0.3333333333333333,nan,0.1,1,5e-324,0.25\n");
}

TEST(RunFolder, CompletesTheSummaryOfAnEarlierVersion) {
  const TemporaryFolder folder;
  write_text_file(folder / "summary.csv",
                  "epoch,step,train_loss,eval_loss,eval_top1,eval_top5,lr\n"
                  "1,3,0.5,0.6,0.7,0.8,0.1\n2,6,0.4,0.5,0.8,0.9,0.05\n");
  RunFolder run(folder.path());
  run.begin(4);
  run.add_summary({.epoch = 1.5, .step = 5, .eval_balanced_accuracy = 0.75});
  run.flush();
  EXPECT_EQ(read_text_file(folder / "summary.csv"),
            kHeader + "1,3,0.5,0.6,0.7,0.8,0.1,\n1.5,5,0,0,0,0,0,0.75\n");
}

TEST(RunFolder, RepeatedEvaluationReplacesItsRow) {
  const TemporaryFolder folder;
  {
    RunFolder run(folder.path());
    run.begin(0);
    run.add_summary({.epoch = 1, .step = 3, .train_loss = 0.5});
    run.add_summary({.epoch = 2, .step = 6, .train_loss = 0.4});
  }
  RunFolder run(folder.path());
  run.begin(6);
  run.add_summary({.epoch = 2, .step = 6, .train_loss = 0.25});
  run.add_summary({.epoch = 3, .step = 9, .train_loss = 0.125});
  EXPECT_EQ(read_text_file(folder / "summary.csv"),
            kHeader + "1,3,0.5,0,0,0,0,0\n2,6,0.25,0,0,0,0,0\n3,9,0.125,0,0,0,0,0\n");
}

TEST(RunFolder, DamageBeforeTheCheckpointIsNamed) {
  const TemporaryFolder folder;
  write_text_file(folder / "metrics.jsonl", "{\"step\":2}\n{\"stop\":3}\n{\"step\":4}\n");
  RunFolder run(folder.path());
  EXPECT_THAT(
      input_error([&] { run.begin(4); }),
      AllOf(HasSubstr((folder / "metrics.jsonl").string() + " line 3"), HasSubstr("step 4 after")));
  EXPECT_EQ(read_text_file(folder / "metrics.jsonl").size(), 33U);
}

TEST(RunFolder, SummaryOfOtherColumnsIsRefused) {
  const TemporaryFolder folder;
  write_text_file(folder / "summary.csv", "epoch,step\n1,3\n");
  RunFolder run(folder.path());
  EXPECT_THAT(input_error([&] { run.begin(3); }),
              AllOf(HasSubstr((folder / "summary.csv").string()), HasSubstr("found epoch,step")));
  EXPECT_EQ(read_text_file(folder / "summary.csv"), "epoch,step\n1,3\n");
}

TEST(RunFolder, RecordsWithoutAStepOrOutOfOrderAreMisuse) {
  const TemporaryFolder folder;
  RunFolder run(folder.path());
  EXPECT_THROW(run.add_metrics({{"step", 1}}), c10::ValueError);
  EXPECT_THROW(run.flush(), c10::ValueError);
  run.begin(0);
  EXPECT_THROW(run.add_metrics({{"loss", 1.0}}), c10::ValueError);
  EXPECT_THROW(run.add_timing({{"step", 1.5}}), c10::ValueError);
  run.add_metrics({{"step", 5}});
  EXPECT_THROW(run.add_metrics({{"step", 4}}), c10::ValueError);
  run.add_summary({.step = 5});
  EXPECT_THROW(run.add_summary({.step = 4}), c10::ValueError);
}

TEST(RunFolder, ConfigIsWrittenAndShownInTensorBoard) {
  const TemporaryFolder folder;
  RunFolder run(folder.path());
  run.set_config("epochs = 3\nmodel = \"vit_ti16\"\n");
  run.begin(0);
  run.add_scalar("eval/top1", 0.75, 9);
  run.flush();
  EXPECT_EQ(read_text_file(folder / "config.toml"), "epochs = 3\nmodel = \"vit_ti16\"\n");
  for (const auto& entry : fs::directory_iterator(folder.path())) {
    if (entry.path().filename().string().starts_with("events.")) {
      const auto events = read_events(read_text_file(entry.path()));
      ASSERT_EQ(events.size(), 4U);
      EXPECT_THAT(events[2].texts,
                  testing::ElementsAre("    epochs = 3\n    model = \"vit_ti16\"\n    "));
      EXPECT_EQ(events[3].scalar, 0.75F);
      return;
    }
  }
  FAIL() << "no event file";
}

TEST(RunFolder, FullDiskIsNamedAndLeavesWholeRecords) {
  const TemporaryFolder folder;
  RunFolder run(folder.path());
  run.begin(0);
  const auto fill = [&](const std::string& name, const auto& add) {
    const FileSizeLimit limit(1000);
    const auto message = input_error([&] {
      for (int64_t step = 1; step < 1000; ++step) {
        add(step);
      }
    });
    EXPECT_THAT(message, testing::StartsWith("cannot write " + (folder / name).string() + ": "));
    EXPECT_TRUE(read_text_file(folder / name).ends_with('\n')) << name;
  };
  fill("metrics.jsonl", [&](int64_t step) { run.add_metrics({{"step", step}, {"loss", 0.1}}); });
  fill("summary.csv", [&](int64_t step) { run.add_summary({.step = step, .eval_loss = 0.1}); });
  fill("timing.jsonl", [&](int64_t step) { run.add_timing({{"step", step}}); });
  // There is room again: the records continue.
  run.add_metrics({{"step", 1000}, {"loss", 0.1}});
  EXPECT_TRUE(read_text_file(folder / "metrics.jsonl")
                  .ends_with(",\"loss\":0.1}\n{\"step\":1000,\"loss\":0.1}\n"));
}

TEST(RunFolder, DeviceWithoutSpaceIsNamed) {
  if (!fs::exists("/dev/full")) {
    GTEST_SKIP() << "no /dev/full";
  }
  const TemporaryFolder folder;
  fs::create_symlink("/dev/full", folder / "metrics.jsonl");
  RunFolder run(folder.path());
  run.begin(0);
  EXPECT_EQ(input_error([&] {
              run.add_metrics({{"step", 1}});
            }),
            "cannot write " + (folder / "metrics.jsonl").string() + ": No space left on device");
}

TEST(RunFolder, IsHeldByOneRunAtATime) {
  const TemporaryFolder folder;
  {
    RunFolder first(folder.path());
    first.begin(0);
    RunFolder second(folder.path());
    EXPECT_THAT(input_error([&] { second.begin(0); }),
                AllOf(HasSubstr(folder.path().string()), HasSubstr("another process")));
    first.begin(0);
  }
  EXPECT_NO_THROW(RunFolder(folder.path()).begin(0));
}

TEST(RunFolder, IsMadeByItsBeginningAlone) {
  const TemporaryFolder folder;
  const auto path = folder / "output" / "run";
  RunFolder run(path);
  run.set_config("epochs = 3\n");
  EXPECT_FALSE(run.has_checkpoint());
  EXPECT_FALSE(fs::exists(folder / "output"));
  run.begin(0);
  EXPECT_EQ(read_text_file(path / "config.toml"), "epochs = 3\n");
}

TEST(RunFolder, RunThatIsRefusedLeavesTheConfigOfTheOther) {
  const TemporaryFolder folder;
  RunFolder first(folder.path());
  first.set_config("seed = 1\n");
  first.begin(0);
  RunFolder second(folder.path());
  second.set_config("seed = 2\n");
  EXPECT_THROW(second.begin(0), InputError);
  EXPECT_EQ(read_text_file(folder / "config.toml"), "seed = 1\n");
}

TEST(RunFolder, FileInThePlaceOfTheFolderIsNamed) {
  const TemporaryFolder folder;
  write_text_file(folder / "run", "a file");
  EXPECT_THAT(input_error([&] { RunFolder{folder / "run"}; }),
              HasSubstr((folder / "run").string()));
  EXPECT_THAT(input_error([&] { RunFolder{folder / "run" / "inner"}; }),
              HasSubstr((folder / "run" / "inner").string()));
}

}  // namespace
}  // namespace softmoe::test
