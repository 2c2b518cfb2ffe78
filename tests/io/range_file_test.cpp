#include "io/range_file.h"

#include <gmock/gmock.h>

#include "io/atomic_file.h"
#include "support/error_text.h"
#include "support/temporary_folder.h"

namespace softmoe {
namespace {

TEST(RangeFile, ReadsAnyBytesAndSaysIfThereAreTooFew) {
  const test::TemporaryFolder folder;
  write_text_file(folder / "a", "0123456789");
  const RangeFile file(folder / "a");
  std::string bytes(4, ' ');
  EXPECT_TRUE(file.read(6, bytes.data(), 4));
  EXPECT_EQ(bytes, "6789");
  EXPECT_TRUE(file.read(0, bytes.data(), 2));
  EXPECT_EQ(bytes, "0189");
  EXPECT_FALSE(file.read(7, bytes.data(), 4));
  EXPECT_TRUE(file.read(10, bytes.data(), 0));
}

TEST(RangeFile, NamesAFileThatIsNotThere) {
  EXPECT_THAT(test::input_error([] { const RangeFile file("/nowhere/a"); }),
              testing::HasSubstr("cannot read /nowhere/a: "));
}

}  // namespace
}  // namespace softmoe
