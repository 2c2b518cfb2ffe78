#include "datasets/sources/emoji.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <opencv2/core.hpp>
#include <set>

#include "datasets/sources/emoji_list.h"
#include "io/atomic_file.h"
#include "support/error_text.h"
#include "support/temporary_folder.h"

namespace softmoe::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(EmojiList, HasTheQualifiedOnesWithTheirGroups) {
  const auto list = emoji_in(
      "# emoji-test.txt\n"
      "#           fully-qualified     \xE2\x80\x94 see ED-18 E1.0 of the report\n"
      "# group: People & Body\n"
      "# subgroup: hand-fingers-open\n"
      "1F44B      ; fully-qualified     # \xF0\x9F\x91\x8B E0.6 waving hand\n"
      "1F44B 1F3FB ; fully-qualified     # \xF0\x9F\x91\x8B E1.0 waving hand: light skin tone\n"
      "263A FE0F  ; fully-qualified     # \xE2\x98\xBA E0.6 smiling face\n"
      "263A       ; unqualified         # \xE2\x98\xBA E0.6 smiling face\n"
      "XYZ        ; fully-qualified     # ? E0.6 nothing\n");
  ASSERT_EQ(list.size(), 4U);
  EXPECT_EQ(list[0].name, "waving hand");
  EXPECT_EQ(list[0].group, "People & Body");
  EXPECT_THAT(list[1].codes, ElementsAre(U'\U0001F44B', U'\U0001F3FB'));
  EXPECT_EQ(list[1].subject(), "waving hand");
  EXPECT_THAT(list[2].codes, ElementsAre(U'\u263A'));
  EXPECT_TRUE(list[3].codes.empty());
}

TEST(Emoji, NamesThePackagesThatAreMissing) {
  const TemporaryFolder folder;
  EXPECT_THAT(input_error([&] { open_emoji(folder.path(), SplitKind::kAll); }),
              testing::AllOf(HasSubstr("NotoColorEmoji.ttf"), HasSubstr("fonts-noto-color-emoji"),
                             HasSubstr("scripts/pictures.sh")));
  write_text_file(folder / "NotoColorEmoji.ttf", "no font");
  EXPECT_THAT(input_error([&] { open_emoji(folder.path(), SplitKind::kAll); }),
              HasSubstr("unicode-data"));
  write_text_file(folder / "emoji-test.txt", "");
  EXPECT_THAT(input_error([&] { open_emoji(folder.path(), SplitKind::kAll); }),
              HasSubstr("a font with pictures in colour"));
}

TEST(Emoji, AreNamedPicturesWhoseVariantsAreInOneSplit) {
  // SOFTMOE_EMOJI: a folder with both files, if the packages are not installed.
  const char* const given = std::getenv("SOFTMOE_EMOJI");
  const std::filesystem::path folder = given != nullptr ? given : "";
  std::unique_ptr<Dataset> train;
  try {
    train = open_emoji(folder, SplitKind::kTrain);
  } catch (const InputError&) {
    GTEST_SKIP() << "fonts-noto-color-emoji and unicode-data are not installed";
  }
  const auto val = open_emoji(folder, SplitKind::kVal);
  EXPECT_GT(train->size() + val->size(), 3000);
  EXPECT_GT(val->size(), 400);
  EXPECT_EQ(train->class_names().size(), 9U);
  EXPECT_EQ(train->class_names().front(), "smileys_and_emotion");
  std::set<std::string> subjects;
  for (int64_t index = 0; index < train->size(); ++index) {
    subjects.insert(Emoji{.codes = {}, .name = train->caption(index), .group = {}}.subject());
  }
  for (int64_t index = 0; index < val->size(); ++index) {
    const auto name = val->caption(index);
    EXPECT_FALSE(subjects.contains(name.substr(0, name.find(':')))) << name;
  }
  for (const int64_t index : {int64_t{0}, val->size() - 1}) {
    const auto image = val->get(index).image;
    EXPECT_EQ(image.size(), cv::Size(136, 128));
    EXPECT_EQ(image.channels(), 3);
    EXPECT_GT(cv::countNonZero(image.reshape(1) != 255), 500) << val->caption(index);
  }
}

}  // namespace
}  // namespace softmoe::test
