#include "core/toml.h"

#include <gmock/gmock.h>

#include "core/error.h"

namespace softmoe {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(Toml, ReadsBackWhatItWrites) {
  const Json values{{"hash", "run #2"},
                    {"quotes", "'a' \"b\" '''c''' \\"},
                    {"control", "a\n\t\x1b\x7f"},
                    {"letters", "\u00e4 \u4e2d"},
                    {"bytes", "caf\xe9/#1"},
                    {"empty", ""},
                    {"'key' \"of\" quotes", {{"a.b", {{"", "\xe9"}}}, {"it's", 1}}},
                    {"hex text", "{ hex = \"00\" }"},
                    {"small", 1e-5},
                    {"tenth", 0.1},
                    {"whole", 1.0},
                    {"large", 1e300},
                    {"integer", 9007199254740993},
                    {"negative", -3},
                    {"truth", true},
                    {"none", Json::array()},
                    {"texts", {"a#b", "c]", "\xff"}},
                    {"numbers", {0.5, 2.0}}};
  std::string text;
  for (const auto& [name, value] : values.items()) {
    text += toml_line(name, value);
  }
  const auto entries = parse_toml(text, "file");
  ASSERT_EQ(entries.size(), values.size());
  int64_t line = 0;
  for (const auto& entry : entries) {
    EXPECT_EQ(entry.value, values.at(entry.name)) << entry.name;
    EXPECT_EQ(entry.value.type(), values.at(entry.name).type()) << entry.name;
    EXPECT_EQ(entry.line, ++line);
  }
}

TEST(Toml, WritesNumbersAsPeopleDo) {
  EXPECT_EQ(toml_line("lr", 0.001), "lr = 0.001\n");
  EXPECT_EQ(toml_line("steps", 1000), "steps = 1000\n");
  EXPECT_EQ(toml_line("name", "a\u00e4"), "name = \"a\u00e4\"\n");
}

TEST(Toml, ReadsTablesAndDates) {
  const auto entries = parse_toml("day = 2026-11-29\n[part]\na = [1, 2]\n", "file");
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(entries[0].value, "2026-11-29");
  EXPECT_EQ(entries[1].name, "part");
  EXPECT_EQ(json_text(entries[1].value), "{\"a\":[1,2]}");
  EXPECT_EQ(entries[1].line, 2);
  EXPECT_EQ(entries[1].key_lines, (std::map<std::string, int64_t>{{"a", 3}}));
}

// toml++ would take them and overflow the stack when it frees the tables.
TEST(Toml, RefusesKeysOfManyParts) {
  std::string key = "a";
  for (int part = 1; part < 100'000; ++part) {
    key += ".a";
  }
  for (const auto& text :
       {"b = 1\n" + key + " = 1\n", "b = 1\n[" + key + "]\n", "b = 1\nc = { " + key + " = 1 }\n"}) {
    EXPECT_THAT([&] { parse_toml(text, "x.toml"); },
                ThrowsMessage<InputError>(HasSubstr("x.toml: line 2: a key of more than")));
  }
}

TEST(Toml, ReadsTextsOfManyDots) {
  const std::string dots(100, '.');
  for (const auto& text : {dots, "'" + dots, "\"" + dots + "'", "\n\\" + dots + "\n"}) {
    const auto entries = parse_toml(toml_line("a", text) + "# " + dots + "\nb = 1\n", "x.toml");
    ASSERT_EQ(entries.size(), 2U);
    EXPECT_EQ(entries[0].value, text);
  }
  const auto raw =
      parse_toml("a = \"\"\"\n\"" + dots + "\"\"\"\"\nb = '''" + dots + "'''\n", "x.toml");
  EXPECT_EQ(raw.at(0).value, "\"" + dots + "\"");
  EXPECT_EQ(raw.at(1).value, dots);
}

TEST(Toml, RefusesALetterInATime) {
  EXPECT_THAT([] { parse_toml("day = 2026-11-29Tx0:11:12\n", "x.toml"); },
              ThrowsMessage<InputError>(HasSubstr("x.toml: line 1: ")));
}

TEST(Toml, NamesTheLineOfAMistake) {
  for (const auto* text : {"a = 1\nb =", "a = 1\na = 2", "a = 1\nb = many"}) {
    EXPECT_THAT(
        [&] { parse_toml(text, "x.toml"); },
        ThrowsMessage<InputError>(AllOf(HasSubstr("x.toml: line 2: "), Not(HasSubstr("\n")))))
        << text;
  }
}

}  // namespace
}  // namespace softmoe
