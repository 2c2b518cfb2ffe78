#include "io/new_folder.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "io/atomic_file.h"
#include "support/temporary_folder.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(NewFolder, LeavesNothingIfNothingIsWrittenInIt) {
  const test::TemporaryFolder folder;
  {
    const NewFolder made(folder / "a" / "b" / "c");
    EXPECT_TRUE(fs::is_directory(folder / "a" / "b" / "c"));
  }
  EXPECT_FALSE(fs::exists(folder / "a"));
}

TEST(NewFolder, KeepsWhatWasThereAndWhatIsNotEmpty) {
  const test::TemporaryFolder folder;
  fs::create_directory(folder / "old");
  { const NewFolder made(folder / "old" / "new"); }
  EXPECT_TRUE(fs::is_directory(folder / "old"));
  {
    const NewFolder made(folder / "old" / "new");
    write_text_file(made.path() / "a.txt", "a");
  }
  EXPECT_TRUE(fs::exists(folder / "old" / "new" / "a.txt"));
}

TEST(NewFolder, NumbersThoseOfEqualNames) {
  const test::TemporaryFolder folder;
  const auto first = NewFolder::numbered(folder / "run");
  const auto second = NewFolder::numbered(folder / "run");
  const auto third = NewFolder::numbered(folder / "run");
  EXPECT_EQ(first.path(), folder / "run");
  EXPECT_EQ(second.path(), folder / "run-2");
  EXPECT_EQ(third.path(), folder / "run-3");
}

TEST(NewFolder, NamesWhatIsInTheWay) {
  const test::TemporaryFolder folder;
  write_text_file(folder / "file", "");
  EXPECT_THAT([&] { NewFolder(folder / "file"); },
              ThrowsMessage<InputError>(HasSubstr((folder / "file").string())));
  EXPECT_THAT([&] { NewFolder(folder / "file" / "run"); },
              ThrowsMessage<InputError>(HasSubstr((folder / "file").string())));
  EXPECT_THAT([] { NewFolder("/proc/run"); }, ThrowsMessage<InputError>(HasSubstr("/proc/run")));
}

}  // namespace
}  // namespace softmoe
