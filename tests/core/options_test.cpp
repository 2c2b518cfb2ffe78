#include "core/options.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "core/registry.h"
#include "support/error_text.h"

namespace softmoe {
namespace {

enum class Shape { kRound, kSquare };

struct ToyOptions {
  bool bias = true;
  int64_t width = 8;
  double rate = 0.5;
  std::string title = "a b";
  std::vector<int64_t> blocks = {1, 2};
  std::vector<double> decays = {0.25};
  std::vector<std::string> names = {"x"};
  Shape shape = Shape::kRound;
  Duration pause = {90};
  bool operator==(const ToyOptions&) const = default;
};

void describe(OptionTable& table, ToyOptions& options) {
  table.add("bias", options.bias, "whether there is a bias");
  table.add("width", options.width, "channels", {.unit = "px", .min = 1, .max = 64});
  table.add("rate", options.rate, "share", {.min = 0});
  table.add("title", options.title, "title", {.choices = {"a b", "c"}});
  table.add("blocks", options.blocks, "block indices", {.min = 0});
  table.add("decays", options.decays, "decays");
  table.add("names", options.names, "names");
  table.add("shape", options.shape, "outline");
  table.add("pause", options.pause, "time between two");
}

}  // namespace

template <>
inline constexpr std::array<EnumName<Shape>, 2> kEnumNames<Shape>{
    {{Shape::kRound, "round"}, {Shape::kSquare, "square"}}};

namespace {

using test::usage_error;
using testing::HasSubstr;

ToyOptions changed_options() {
  return {.bias = false,
          .width = 13,
          .rate = 1.0 / 3,
          .title = "c",
          .blocks = {},
          .decays = {1e-300, 2},
          .names = {"a, b", "\"quoted\""},
          .shape = Shape::kSquare,
          .pause = {0.25}};
}

TEST(OptionTable, RoundTripsThroughJson) {
  ToyOptions source = changed_options();
  ToyOptions target;
  const Json values = Json::parse(option_table(source).to_json().dump());
  option_table(target).from_json(values, "file");
  EXPECT_EQ(target, source);
}

TEST(OptionTable, KeepsTheOrderOfDescription) {
  ToyOptions options;
  std::vector<std::string> names;
  const Json values = option_table(options).to_json();
  for (const auto& [name, value] : values.items()) {
    names.push_back(name);
  }
  EXPECT_THAT(names, testing::ElementsAre("bias", "width", "rate", "title", "blocks", "decays",
                                          "names", "shape", "pause"));
}

TEST(OptionTable, WritesAConfigLineForEachOption) {
  ToyOptions options;
  EXPECT_EQ(option_table(options).to_config(),
            "bias = true\nwidth = 8\nrate = 0.5\ntitle = \"a b\"\nblocks = [ 1, 2 ]\n"
            "decays = [ 0.25 ]\nnames = [ \"x\" ]\nshape = \"round\"\n"
            "pause = \"90s\"\n");
}

TEST(OptionField, ParsesWords) {
  ToyOptions options;
  const auto table = option_table(options);
  table.find("bias")->parse({"false"}, "");
  table.find("width")->parse({"64"}, "");
  table.find("rate")->parse({"1e-3"}, "");
  table.find("title")->parse({"c"}, "");
  table.find("blocks")->parse({"3", "0"}, "");
  table.find("shape")->parse({"square"}, "");
  table.find("pause")->parse({"10min"}, "");
  EXPECT_EQ(options, (ToyOptions{.bias = false,
                                 .width = 64,
                                 .rate = 1e-3,
                                 .title = "c",
                                 .blocks = {3, 0},
                                 .shape = Shape::kSquare,
                                 .pause = {600}}));
}

TEST(OptionField, TakesNumbersThatAreTooSmallForADouble) {
  ToyOptions options;
  option_table(options).find("rate")->parse({"1e-400"}, "");
  EXPECT_EQ(options.rate, 0);
}

TEST(OptionField, NamesWhatIsAllowedAndWhatWasFound) {
  ToyOptions options;
  const auto table = option_table(options);
  const auto parse = [&](const std::string& name, const std::vector<std::string>& words) {
    return usage_error([&] { table.find(name)->parse(words, "a.toml"); });
  };
  EXPECT_EQ(parse("width", {"65"}), "a.toml: width: expected in [1, 64], found 65");
  EXPECT_EQ(parse("width", {"8x"}), "a.toml: width: expected an integer, found '8x'");
  EXPECT_THAT(parse("width", {"99999999999999999999"}), HasSubstr("an integer of 64 bits"));
  EXPECT_THAT(parse("rate", {"-1"}), HasSubstr("at least 0"));
  EXPECT_THAT(parse("rate", {"nan"}), HasSubstr("a finite number, found nan"));
  EXPECT_THAT(parse("rate", {"1e400"}), HasSubstr("a finite number, found inf"));
  EXPECT_THAT(parse("rate", {"inf"}), HasSubstr("a finite number, found inf"));
  EXPECT_THAT(parse("title", {"d"}), HasSubstr("one of a b, c, found 'd'"));
  EXPECT_THAT(parse("shape", {"oval"}), HasSubstr("one of round, square, found 'oval'"));
  EXPECT_THAT(parse("bias", {"maybe"}), HasSubstr("true or false"));
  EXPECT_THAT(parse("blocks", {"1", "-1"}), HasSubstr("at least 0"));
  EXPECT_THAT(parse("width", {"1", "2"}), HasSubstr("one value"));
  EXPECT_EQ(parse("pause", {"10minutes"}),
            "a.toml: pause: expected a time such as 90s, 10min, 1.5h or 2d, found '10minutes'");
  EXPECT_EQ(options, ToyOptions{});
}

TEST(OptionTable, RefusesUnknownNamesAndWrongTypes) {
  ToyOptions options;
  const auto table = option_table(options);
  const auto error = [&](const char* json) {
    return usage_error([&] { table.from_json(Json::parse(json), "meta"); });
  };
  EXPECT_EQ(error(R"({"heigth": 1})"), "meta: unknown option 'heigth'");
  EXPECT_EQ(error(R"({"width": "8"})"), "meta: width: expected int, found \"8\"");
  EXPECT_EQ(error(R"({"width": 1.5})"), "meta: width: expected int, found 1.5");
  EXPECT_THAT(error(R"({"pause": 90})"), HasSubstr("pause: expected a time such as"));
  EXPECT_EQ(error(R"({"blocks": 1})"), "meta: blocks: expected a list, found 1");
  EXPECT_THAT(error("[1]"), HasSubstr("an object of options"));
}

TEST(OptionTable, RefusesTwoOptionsOfOneName) {
  ToyOptions options;
  OptionTable table;
  describe(table, options);
  EXPECT_THROW(table.add("rate", options.rate, "again"), c10::ValueError);
}

TEST(OptionField, DescribesItself) {
  ToyOptions options;
  const auto table = option_table(options);
  EXPECT_EQ(table.find("width")->type_name(), "int");
  EXPECT_EQ(table.find("width")->allowed(), "in [1, 64]");
  EXPECT_EQ(table.find("width")->limits().unit, "px");
  EXPECT_EQ(table.find("blocks")->type_name(), "int ...");
  EXPECT_TRUE(table.find("blocks")->is_list());
  EXPECT_EQ(table.find("blocks")->text(), "1 2");
  EXPECT_EQ(table.find("shape")->type_name(), "text");
  EXPECT_TRUE(table.find("bias")->is_flag());
  EXPECT_EQ(table.find("height"), nullptr);
}

struct Row {
  std::string_view name;
  int value;
};

TEST(Options, RecognizeTheirItems) {
  ToyOptions options;
  const auto table = option_table(options);
  for (const auto* word : {"3", "-2", "1e3"}) {
    EXPECT_TRUE(table.find("blocks")->recognizes(word)) << word;
    EXPECT_FALSE(table.find("names")->recognizes(word)) << word;  // any word could be a name
  }
  for (const auto* word : {"", "3.png", "a", "nan", "--rate"}) {
    EXPECT_FALSE(table.find("blocks")->recognizes(word)) << word;
    EXPECT_FALSE(table.find("rate")->recognizes(word)) << word;
  }
  EXPECT_TRUE(table.find("pause")->recognizes("1.5h"));
  EXPECT_FALSE(table.find("pause")->recognizes("-1s"));
  EXPECT_TRUE(table.find("shape")->recognizes("round"));
  EXPECT_FALSE(table.find("shape")->recognizes("oval"));
}

TEST(Options, OfAnotherTableAreAddedBehindAPrefixAndBoundToTheSameMembers) {
  ToyOptions own;
  ToyOptions other;
  auto table = option_table(own);
  table.add_all("other-", option_table(other));
  EXPECT_EQ(table.fields().size(), 2 * option_table(own).fields().size());
  table.from_json({{"other-rate", 0.25}}, "");
  EXPECT_EQ(other.rate, 0.25);
  EXPECT_EQ(own, ToyOptions{});
  EXPECT_EQ(usage_error([&] {
              table.from_json({{"other-rate", "x"}}, "");
            }).find("other-rate"),
            0U);
  EXPECT_THROW(table.add_all("other-", option_table(other)), c10::ValueError);
}

TEST(Options, AreWrittenAsUtf8WhateverTheyHold) {
  ToyOptions options{.names = {"caf\xe9", "\u00e4"}};
  const auto table = option_table(options);
  EXPECT_EQ(table.to_json().at("names"), (Json{"caf\uFFFD", "\u00e4"}));
  EXPECT_EQ(table.find("names")->config_line(), "names = [ { hex = \"636166e9\" }, \"\u00e4\" ]\n");
  EXPECT_EQ(options.names[0], "caf\xe9");
  EXPECT_EQ(json_text({{"a", "\xff"}}), "{\"a\":\"\uFFFD\"}");
  EXPECT_EQ(json_text({{"a", 1}}, 2), "{\n  \"a\": 1\n}");
  EXPECT_EQ(valid_utf8("\u00e4\xc3"), "\u00e4\uFFFD");
}

TEST(Registry, FindsRowsAndListsTheKnownNames) {
  constexpr std::array<Row, 2> kRows{{{"soft", 1}, {"hash", 2}}};
  EXPECT_EQ(find_row(std::span<const Row>(kRows), "hash", "router").value, 2);
  EXPECT_EQ(usage_error([&] { find_row(std::span<const Row>(kRows), "sofd", "router"); }),
            "router: expected one of soft, hash, found 'sofd', did you mean soft?");
}

}  // namespace
}  // namespace softmoe
