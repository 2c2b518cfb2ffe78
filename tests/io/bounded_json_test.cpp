#include "io/bounded_json.h"

#include <gtest/gtest.h>

#include "support/error_text.h"

namespace softmoe {
namespace {

using test::input_error;

/// An object of `count` keys.
std::string object_of(int64_t count) {
  std::string text = "{";
  for (int64_t key = 0; key < count; ++key) {
    text += (key == 0 ? "\"" : ",\"") + std::to_string(key) + "\":0";
  }
  return text + "}";
}

TEST(BoundedJson, KeepsTheOrderOfKeysUnlessItSortsThem) {
  const std::string text = R"({"b": 1, "a": {"d": [2], "c": ":{["}})";
  EXPECT_EQ(parse_json(text, "a").dump(), R"({"b":1,"a":{"d":[2],"c":":{["}})");
  EXPECT_EQ(parse_sorted_json(text, "a").dump(), R"({"a":{"c":":{[","d":[2]},"b":1})");
}

TEST(BoundedJson, RefusesWhatIsNoJson) {
  for (const std::string text : {"", "{", "{'a': 1}", "1 2", "\"\\\""}) {
    EXPECT_EQ(input_error([&] { parse_json(text, "a.json"); }),
              "a.json: expected JSON, found something else");
    EXPECT_EQ(input_error([&] { parse_sorted_json(text, "a.json"); }),
              "a.json: expected JSON, found something else");
  }
}

TEST(BoundedJson, LimitsTheDepth) {
  const auto nested = [](size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_NO_THROW(parse_json(nested(64), "a"));
  EXPECT_EQ(input_error([&] { parse_json(nested(65), "a"); }),
            "a: expected JSON of at most 64 levels, found 65");
  EXPECT_EQ(input_error([&] { parse_sorted_json(nested(65), "a"); }),
            "a: expected JSON of at most 64 levels, found 65");
}

TEST(BoundedJson, LimitsTheNumberOfKeysThatItKeepsInOrder) {
  EXPECT_EQ(parse_sorted_json(object_of(kJsonKeyLimit + 1), "a").size(), 20'001U);
  EXPECT_EQ(parse_json(object_of(1'000), "a").size(), 1'000U);
  EXPECT_EQ(input_error([] { parse_json(object_of(kJsonKeyLimit + 1), "a"); }),
            "a: expected JSON of at most 20000 keys, found 20001");
}

}  // namespace
}  // namespace softmoe
