#include "io/append_file.h"

#include <gmock/gmock.h>

#include "io/atomic_file.h"
#include "support/error_text.h"
#include "support/file_size_limit.h"
#include "support/temporary_folder.h"

namespace softmoe {
namespace {

using testing::HasSubstr;

TEST(AppendFile, AppendsToTheBytesThatItKeeps) {
  const test::TemporaryFolder folder;
  write_text_file(folder / "a", "0123456789");
  AppendFile file(folder / "a", 4);
  EXPECT_EQ(file.size(), 4);
  file.append("abc");
  EXPECT_EQ(file.size(), 7);
  EXPECT_EQ(read_text_file(folder / "a"), "0123abc");
  file.cut(2);
  file.append("z");
  file.sync();
  EXPECT_EQ(read_text_file(folder / "a"), "01z");
}

TEST(AppendFile, MakesAFileAndKeepsNoMoreThanThereIs) {
  const test::TemporaryFolder folder;
  AppendFile file(folder / "new", 100);
  EXPECT_EQ(file.size(), 0);
  file.append("a\n");
  AppendFile again(folder / "new", 100);
  EXPECT_EQ(again.size(), 2);
}

TEST(AppendFile, AppendsNothingIfTheDiskIsFull) {
  const test::TemporaryFolder folder;
  AppendFile file(folder / "a", 0);
  file.append("first\n");
  {
    const test::FileSizeLimit limit(1000);
    EXPECT_THAT(test::input_error([&] { file.append(std::string(5000, 'x')); }),
                HasSubstr("cannot write " + (folder / "a").string()));
  }
  EXPECT_EQ(file.size(), 6);
  file.append("second\n");
  EXPECT_EQ(read_text_file(folder / "a"), "first\nsecond\n");
}

TEST(AppendFile, NamesAFileThatItCannotOpen) {
  const test::TemporaryFolder folder;
  EXPECT_EQ(test::input_error([&] { AppendFile(folder / "none/a", 0); }),
            "cannot write " + (folder / "none/a").string() + ": No such file or directory");
}

}  // namespace
}  // namespace softmoe
