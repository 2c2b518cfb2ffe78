#include "train/event_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "core/error.h"
#include "io/atomic_file.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/temporary_folder.h"
#include "tests/train/event_reader.h"
#include "train/crc32c.h"
#include "train/event_record.h"

namespace softmoe::test {
namespace {

namespace fs = std::filesystem;

TEST(Crc32c, AgreesWithPublishedValues) {
  // RFC 3720, appendix B.4.
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAU);
  EXPECT_EQ(crc32c(std::string(32, '\xFF')), 0x62A8AB43U);
  EXPECT_EQ(crc32c("123456789"), 0xE3069283U);
  EXPECT_EQ(crc32c(""), 0U);
}

TEST(EventRecord, BeginsWithTheBytesThatTensorBoardWrites) {
  // As tensorboard 2.21 writes the first record of a file at the time 1.
  const std::string expected{
      "\x18\0\0\0\0\0\0\0"
      "\xA3\x7F\x4B\x22"
      "\x09\0\0\0\0\0\0\xF0\x3F\x1A\x0D"
      "brain.Event:2"
      "\x86\xBF\x57\x7A",
      40};
  EXPECT_EQ(version_record(1.0), expected);
}

TEST(EventRecord, DamageIsSeenByTheChecksums) {
  const auto record = scalar_record({.wall_time = 2.0, .step = 3}, "loss", 0.25);
  ASSERT_EQ(read_events(record).size(), 1U);
  for (size_t i = 0; i < record.size(); ++i) {
    auto damaged = record;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    EXPECT_THROW(read_events(damaged), std::runtime_error) << "byte " << i;
  }
}

TEST(EventFile, HoldsWhatWasAdded) {
  const TemporaryFolder folder;
  const auto now = [] {
    return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch())
        .count();
  };
  const double before = now();
  EventFile file(folder.path(), /*step=*/40);
  file.add_scalar("train/loss", 0.1, 50);
  file.add_scalar("train/lr", 0.0, 5'000'000'000);
  file.add_text("config", "    epochs = 3\n", 40);
  file.sync();
  const auto events = read_events(read_text_file(file.path()));
  ASSERT_EQ(events.size(), 5U);
  EXPECT_EQ(events[0].file_version, "brain.Event:2");
  EXPECT_TRUE(events[1].starts_sitting);
  EXPECT_EQ(events[1].step, 41);
  EXPECT_EQ(events[2].tag, "train/loss");
  EXPECT_EQ(events[2].scalar, 0.1F);
  EXPECT_EQ(events[2].step, 50);
  EXPECT_EQ(events[3].tag, "train/lr");
  EXPECT_EQ(events[3].scalar, 0.0F);
  EXPECT_EQ(events[3].step, 5'000'000'000);
  EXPECT_EQ(events[4].tag, "config");
  EXPECT_EQ(events[4].scalar, std::nullopt);
  EXPECT_EQ(events[4].plugin, "text");
  EXPECT_THAT(events[4].texts, testing::ElementsAre("    epochs = 3\n"));
  for (const auto& event : events) {
    EXPECT_GE(event.wall_time, before);
    EXPECT_LE(event.wall_time, now());
  }
}

TEST(EventFile, SittingsSortByTheirNames) {
  const TemporaryFolder folder;
  std::vector<std::string> names;
  for (int sitting = 0; sitting < 3; ++sitting) {
    names.push_back(EventFile(folder.path(), sitting).path().filename().string());
    EXPECT_TRUE(names.back().starts_with("events.out.tfevents.")) << names.back();
  }
  EXPECT_LT(names[0], names[1]);
  EXPECT_LT(names[1], names[2]);
}

TEST(EventFile, FullDiskIsNamedAndLeavesWholeRecords) {
  const TemporaryFolder folder;
  EventFile file(folder.path(), /*step=*/0);
  const FileSizeLimit limit(200);
  std::string message;
  int64_t added = 0;
  try {
    for (; added < 100; ++added) {
      file.add_scalar("train/loss", 1.0, added);
    }
  } catch (const InputError& error) {
    message = error.what();
  }
  EXPECT_THAT(message, testing::StartsWith("cannot write " + file.path().string() + ": "));
  EXPECT_EQ(static_cast<int64_t>(read_events(read_text_file(file.path())).size()), added + 2);
}

TEST(EventFile, MissingFolderIsNamed) {
  const TemporaryFolder folder;
  EXPECT_THROW(EventFile(folder / "absent", /*step=*/0), InputError);
}

}  // namespace
}  // namespace softmoe::test
