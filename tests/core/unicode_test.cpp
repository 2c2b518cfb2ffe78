#include "core/unicode.h"

#include <gtest/gtest.h>

#include <set>

#include "core/json_text.h"

namespace softmoe {
namespace {

TEST(Nfc, JoinsLettersAndTheirAccents) {
  EXPECT_EQ(nfc("cafe\u0301"), "caf\u00e9");
  EXPECT_EQ(nfc("caf\u00e9"), "caf\u00e9");
  EXPECT_EQ(nfc("\u1100\u1161"), "\uac00");  // Korean
  EXPECT_EQ(nfc(std::string("e\u0301\0e\u0301", 7)), std::string("\u00e9\0\u00e9", 5));
  EXPECT_EQ(nfc("cafe\u0301\xe9"), "cafe\u0301\xe9");
  EXPECT_EQ(nfc(""), "");
}

TEST(CaseFolded, ComparesLettersOfEitherCase) {
  EXPECT_EQ(case_folded("CAFE\u0301"), case_folded("caf\u00e9"));
  EXPECT_EQ(case_folded("STRASSE"), case_folded("stra\u00dfe"));
  EXPECT_NE(case_folded("cat"), case_folded("cap"));
}

TEST(EscapedName, ShowsOtherBytesAndKeepsNamesApart) {
  EXPECT_EQ(escaped_name("caf\xe9"), "caf\\xE9");
  EXPECT_EQ(escaped_name("cafe\u0301"), "caf\u00e9");
  EXPECT_EQ(escaped_name("AC\\DC"), "AC\\DC");
  std::set<std::string> escaped;
  const std::set<std::string> names{"caf\xe9",       "caf\xe8",     "caf\\xE9",     "caf\\\\xE9",
                                    "caf\\\xe9",     "caf\\\\\xe9", "caf\\xE9\xe9", "caf\xe9\xe9",
                                    "caf\\xE9\\xE9", "caf\\"};
  for (const auto& name : names) {
    escaped.insert(escaped_name(name));
    EXPECT_EQ(valid_utf8(escaped_name(name)), escaped_name(name));
  }
  EXPECT_EQ(escaped.size(), names.size());
}

}  // namespace
}  // namespace softmoe
