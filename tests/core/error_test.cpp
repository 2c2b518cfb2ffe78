#include "core/error.h"

#include <c10/util/Exception.h>
#include <gtest/gtest.h>

namespace softmoe {
namespace {

TEST(InputError, IsOneLineOfWhereExpectedAndFound) {
  EXPECT_STREQ(InputError("a.npz", "3 axes", "2").what(), "a.npz: expected 3 axes, found 2");
}

TEST(SingleLine, JoinsLinesAndCutsBackTraces) {
  EXPECT_EQ(single_line("one\ntwo\n"), "one; two");
  EXPECT_EQ(single_line("shape\nException raised from f (most recent call first):\n#1"), "shape");
  std::string message;
  try {
    TORCH_CHECK_VALUE(false, "wrong shape");
  } catch (const c10::Error& error) {
    message = single_line(error.what());
  }
  EXPECT_EQ(message, "wrong shape");
}

TEST(TerminalText, HasNoControlCharacters) {
  EXPECT_EQ(terminal_text("a\x1b[31mb\nc\x7f"), "a?[31mb?c?");
  EXPECT_EQ(terminal_text("a\xc2\x9b"
                          "31m"),
            "a?31m");
  EXPECT_EQ(terminal_text("caf\u00e9 \u732b"), "caf\u00e9 \u732b");
  EXPECT_EQ(terminal_text("end\xc2"), "end\xc2");
  // Single bytes that some terminals take for an escape, and letters of Latin-1.
  EXPECT_EQ(terminal_text("a\x9b"
                          "31m caf\xe9"),
            "a?31m caf\xe9");
  // What turns the direction of text, and breaks lines.
  EXPECT_EQ(terminal_text("cat\u202egnp.exe\u202c \u2066x\u2069 a\u2028b"), "cat?gnp.exe? ?x? a?b");
}

TEST(PrintableText, CutsBetweenCharacters) {
  EXPECT_EQ(printable_text("ab\u00e9", 3), "ab...");
  EXPECT_EQ(printable_text("a\tb"), "a?b");
}

}  // namespace
}  // namespace softmoe
