#include "datasets/sources/csv_reader.h"

#include <gmock/gmock.h>

#include "support/error_text.h"

namespace softmoe {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

using Rows = std::vector<std::vector<std::string>>;

Rows rows_of(std::string_view text, char separator = ',') {
  CsvReader reader(text, separator, "t.csv");
  Rows rows;
  while (auto row = reader.next()) {
    rows.push_back(std::move(*row));
  }
  return rows;
}

TEST(CsvReader, TakesQuotesAsRfc4180Does) {
  EXPECT_THAT(rows_of("a,b\r\n\"x,1\",\"say \"\"hi\"\"\"\n\"two\r\nlines\",\n,\"\""),
              ElementsAre(ElementsAre("a", "b"), ElementsAre("x,1", "say \"hi\""),
                          ElementsAre("two\r\nlines", ""), ElementsAre("", "")));
}

TEST(CsvReader, PassesOverMarksAndEmptyLines) {
  EXPECT_THAT(rows_of("\xef\xbb\xbf"
                      "a\tb\n\n\r\nc,d\te\n",
                      '\t'),
              ElementsAre(ElementsAre("a", "b"), ElementsAre("c,d", "e")));
  EXPECT_TRUE(rows_of("").empty());
  EXPECT_TRUE(rows_of("\n\n").empty());
}

TEST(CsvReader, CountsRowsAsSpreadsheetsDo) {
  const std::string text = "a\n\"1\n2\"\n\nlast\n";
  CsvReader reader(text, ',', "t.csv");
  std::vector<int64_t> rows;
  while (reader.next()) {
    rows.push_back(reader.row());
  }
  EXPECT_THAT(rows, ElementsAre(1, 2, 4));
}

TEST(CsvReader, NamesTheRowOfAWrongQuote) {
  const auto error_of = [](std::string_view text) {
    return test::input_error([&] { rows_of(text); });
  };
  EXPECT_THAT(error_of("a\n\"b\n"), HasSubstr("t.csv row 2"));
  EXPECT_THAT(error_of("a\nb\"c\n"), HasSubstr("t.csv row 2"));
  EXPECT_THAT(error_of("a\n\"b\"c\n"), HasSubstr("t.csv row 2"));
}

}  // namespace
}  // namespace softmoe
