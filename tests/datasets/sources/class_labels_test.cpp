#include "datasets/sources/class_labels.h"

#include <gmock/gmock.h>

#include "io/atomic_file.h"
#include "support/error_text.h"
#include "support/temporary_folder.h"

namespace softmoe {
namespace {

using test::input_error;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

LabelTexts texts(const std::vector<std::string>& labels) {
  LabelTexts found;
  for (const auto& label : labels) {
    found.add(label);
  }
  return found;
}

std::string image_name(int64_t image) { return "image " + std::to_string(image); }

TEST(ClassLabels, OfNumbersAreNumbered) {
  const auto labels = texts({"3", "0", "3", "10"});
  const auto classes = ClassLabels::of(labels, image_name);
  EXPECT_EQ(classes.names().size(), 11U);
  EXPECT_EQ(classes.names()[10], "10");
  EXPECT_THAT(classes.indices(labels, image_name), ElementsAre(3, 0, 3, 10));
}

TEST(ClassLabels, OfNamesAreSorted) {
  for (const auto& other : {"007", "-1", "1.0", "a"}) {
    const auto labels = texts({"3", other, "20", "3"});
    const auto classes = ClassLabels::of(labels, image_name);
    EXPECT_EQ(classes.names().size(), 3U) << other;
    EXPECT_TRUE(std::is_sorted(classes.names().begin(), classes.names().end()));
    const auto indices = classes.indices(labels, image_name);
    EXPECT_EQ(classes.names()[static_cast<size_t>(indices[1])], other);
    EXPECT_EQ(indices[0], indices[3]);
  }
}

TEST(ClassLabels, AreOneInAnyUnicodeForm) {
  const auto labels = texts({"caf\xc3\xa9", "cafe\xcc\x81"});
  EXPECT_EQ(ClassLabels::of(labels, image_name).names().size(), 1U);
}

TEST(ClassLabels, RefuseNumbersThatAreNoClasses) {
  for (const auto& number : {"1048576", "99999999999999999999999"}) {
    const auto labels = texts({"1", "1", number});
    EXPECT_THAT(input_error([&] { ClassLabels::of(labels, image_name); }),
                AllOf(HasSubstr("image 2"), HasSubstr(number), HasSubstr("--class-map")));
  }
}

TEST(ClassLabels, OfAMapGoByNameThenByNumber) {
  const test::TemporaryFolder folder;
  write_text_file(folder / "map.txt", "n02\r\n  1 \ncat\n\n");
  const auto classes = ClassLabels::read(folder / "map.txt");
  EXPECT_THAT(classes.names(), ElementsAre("n02", "1", "cat"));
  EXPECT_THAT(classes.indices(texts({"cat", "1", "2", "0"}), image_name), ElementsAre(2, 1, 2, 0));
  EXPECT_THAT(input_error([&] {
                classes.indices(texts({"cat", "cot"}), image_name);
              }),
              AllOf(HasSubstr("image 1: label"), HasSubstr("map.txt"), HasSubstr("'cot'"),
                    HasSubstr("did you mean cat?")));
  EXPECT_THAT(input_error([&] { classes.indices(texts({"3"}), image_name); }), HasSubstr("'3'"));
}

TEST(ClassLabels, NameTheRowOfAWrongMap) {
  const test::TemporaryFolder folder;
  const auto error_of = [&](const std::string& name, const std::string& text) {
    write_text_file(folder / name, text);
    return input_error([&] { ClassLabels::read(folder / name); });
  };
  EXPECT_THAT(error_of("map.txt", "a\nb\na\n"), AllOf(HasSubstr("row 3"), HasSubstr("row 1")));
  EXPECT_THAT(error_of("map.txt", "a\n\nb\n"), HasSubstr("row 2"));
  EXPECT_THAT(error_of("map.txt", "\n"), HasSubstr("map.txt"));
  EXPECT_THAT(error_of("map.pkl", "x"), HasSubstr("pickle"));
}

TEST(ClassLabels, OfSeveralLabelsPerImageAreLists) {
  LabelTexts labels;
  labels.add(std::vector<std::string>{"b", "a", "b"});
  labels.add(std::vector<std::string>{});
  labels.add(std::vector<std::string>{"c"});
  EXPECT_EQ(labels.size(), 3);
  EXPECT_THAT(labels.texts(0), ElementsAre("b", "a", "b"));
  EXPECT_EQ(labels.first_image(2), 2);
  const auto lists = ClassLabels::of(labels, image_name).index_lists(labels, image_name);
  EXPECT_EQ(lists, (std::vector<std::vector<int64_t>>{{0, 1}, {}, {2}}));
}

}  // namespace
}  // namespace softmoe
