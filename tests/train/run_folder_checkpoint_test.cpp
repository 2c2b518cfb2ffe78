/// The checkpoints in a run folder.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "core/error.h"
#include "io/atomic_file.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/temporary_folder.h"
#include "tests/train/run_folder_support.h"
#include "train/run_folder.h"

namespace softmoe::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

TEST(RunFolder, KeepsLastBestAndTheNewestOfTheHistory) {
  const TemporaryFolder folder;
  RunFolder run(folder.path());
  EXPECT_FALSE(run.has_checkpoint());
  for (const int64_t step : {9, 10, 100, 101}) {
    run.save_checkpoint(step, /*is_best=*/step == 10, /*hist=*/2, writer(std::to_string(step)));
  }
  EXPECT_TRUE(run.has_checkpoint());
  EXPECT_EQ(read_text_file(run.last_checkpoint()), "101");
  EXPECT_EQ(read_text_file(run.best_checkpoint()), "10");
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder.path())) {
    names.insert(entry.path().filename().string());
  }
  EXPECT_THAT(names,
              testing::ElementsAre("best.h5", "checkpoint-100.h5", "checkpoint-101.h5", "last.h5"));
  EXPECT_EQ(read_text_file(run.checkpoint_of(100)), "100");
  EXPECT_EQ(fs::hard_link_count(run.last_checkpoint()), 2U);
}

TEST(RunFolder, HistoryOfNoneAndOfALaterRunIsLeftAlone) {
  const TemporaryFolder folder;
  RunFolder run(folder.path());
  write_text_file(run.checkpoint_of(50), "of a run that went further");
  write_text_file(folder / "checkpoint-mine.h5", "somebody's");
  run.save_checkpoint(4, /*is_best=*/false, /*hist=*/1, writer("4"));
  run.save_checkpoint(5, /*is_best=*/false, /*hist=*/1, writer("5"));
  EXPECT_TRUE(fs::exists(run.checkpoint_of(5)));
  EXPECT_FALSE(fs::exists(run.checkpoint_of(4)));
  run.save_checkpoint(6, /*is_best=*/false, /*hist=*/0, writer("6"));
  EXPECT_FALSE(fs::exists(run.checkpoint_of(5)));
  EXPECT_FALSE(fs::exists(run.checkpoint_of(6)));
  EXPECT_FALSE(fs::exists(run.best_checkpoint()));
  EXPECT_TRUE(fs::exists(run.checkpoint_of(50)));
  EXPECT_TRUE(fs::exists(folder / "checkpoint-mine.h5"));
}

TEST(RunFolder, FailedCheckpointLeavesTheLastGoodOne) {
  const TemporaryFolder folder;
  RunFolder run(folder.path());
  run.begin(0);
  const std::string large(5000, 'x');
  {
    const FileSizeLimit limit(4000);
    const auto message =
        input_error([&] { run.save_checkpoint(2, /*is_best=*/true, /*hist=*/3, writer(large)); });
    EXPECT_THAT(message, testing::StartsWith("cannot write " + folder.path().string()));
    EXPECT_THAT(message, testing::Not(HasSubstr("stays")));
  }
  EXPECT_FALSE(run.has_checkpoint());
  run.save_checkpoint(3, /*is_best=*/true, /*hist=*/3, writer("good"));
  {
    const FileSizeLimit limit(4000);
    const auto message =
        input_error([&] { run.save_checkpoint(4, /*is_best=*/true, /*hist=*/3, writer(large)); });
    EXPECT_THAT(message,
                testing::EndsWith("; " + run.last_checkpoint().string() + " stays as it was"));
    EXPECT_THAT(message, testing::Not(HasSubstr("\n")));
  }
  EXPECT_EQ(read_text_file(run.last_checkpoint()), "good");
  EXPECT_EQ(read_text_file(run.best_checkpoint()), "good");
  EXPECT_FALSE(fs::exists(run.checkpoint_of(4)));
  EXPECT_FALSE(fs::exists(folder / "next.h5"));
}

TEST(RunFolder, CheckpointThatThrowsAnythingElseLeavesNothing) {
  const TemporaryFolder folder;
  RunFolder run(folder.path());
  const auto stop = [](const fs::path& path) {
    write_text_file(path, "half");
    throw Interrupted("stopped");
  };
  EXPECT_THROW(run.save_checkpoint(1, /*is_best=*/false, /*hist=*/1, stop), Interrupted);
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(RunFolder, BeginRemovesWhatAKilledProcessLeft) {
  const TemporaryFolder folder;
  RunFolder run(folder.path());
  run.save_checkpoint(1, /*is_best=*/true, /*hist=*/1, writer("1"));
  write_text_file(folder / "next.h5", "half");
  write_text_file(folder / "next.h5.tmp123", "half");
  write_text_file(folder / "best.h5.tmp123", "half");
  run.begin(1);
  EXPECT_FALSE(fs::exists(folder / "next.h5"));
  EXPECT_FALSE(fs::exists(folder / "next.h5.tmp123"));
  EXPECT_FALSE(fs::exists(folder / "best.h5.tmp123"));
  EXPECT_EQ(read_text_file(run.best_checkpoint()), "1");
}

}  // namespace
}  // namespace softmoe::test
