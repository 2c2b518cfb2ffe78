#include "core/table.h"

#include <c10/util/Exception.h>

namespace softmoe {
namespace {

TEST(TextTable, AlignsNamesLeftAndNumbersRight) {
  TextTable table({"model", "img/s", "ratio"});
  table.add_row({"vit_b16", "9.5", "1.00"});
  table.add_row({"softmoe_s16_128e", "120", "12.6"});
  EXPECT_EQ(table.text(),
            "model             img/s  ratio\n"
            "vit_b16             9.5   1.00\n"
            "softmoe_s16_128e    120   12.6\n");
  EXPECT_THROW(table.add_row({"short"}), c10::ValueError);
}

TEST(TextTable, AlignsColumnsAsAskedAndDrawsRules) {
  TextTable table({"run", "note", "%"}, {Align::kLeft, Align::kLeft, Align::kRight});
  table.add_rule();
  table.add_row({"a", "best", "12.5"});
  table.add_row({"longer", "", "7"});
  EXPECT_EQ(table.text(),
            "run     note     %\n"
            "------  ----  ----\n"
            "a       best  12.5\n"
            "longer           7\n");
  EXPECT_THROW(TextTable({"a", "b"}, {Align::kLeft}), c10::ValueError);
}

TEST(TextTable, HasNoControlCharacters) {
  TextTable table({"name", "n"});
  table.add_row({"a\x1b[2Jb\n", "1"});
  EXPECT_EQ(table.text(), "name     n\na?[2Jb?  1\n");
}

TEST(TextTable, CountsCharactersNotBytes) {
  TextTable table({"class", "n"});
  table.add_row({"Größe", "10"});
  EXPECT_EQ(table.text(), "class   n\nGröße  10\n");
}

}  // namespace
}  // namespace softmoe
