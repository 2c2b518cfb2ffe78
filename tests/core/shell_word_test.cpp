#include "core/shell_word.h"

#include <gtest/gtest.h>

namespace softmoe {
namespace {

TEST(ShellWord, QuotesWhatAShellWouldChange) {
  EXPECT_EQ(shell_word("runs/a-1.h5"), "runs/a-1.h5");
  EXPECT_EQ(shell_word("run #2"), "'run #2'");
  EXPECT_EQ(shell_word("it's"), "'it'\\''s'");
  EXPECT_EQ(shell_word(""), "''");
}

}  // namespace
}  // namespace softmoe
