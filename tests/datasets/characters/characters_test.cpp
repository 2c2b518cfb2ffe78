#include "datasets/characters/characters.h"

#include <gmock/gmock.h>

#include <thread>
#include <unordered_set>

#include "core/error.h"
#include "datasets/characters/font_face.h"
#include "datasets/characters/glyph_distortion.h"
#include "datasets/characters/scripts.h"
#include "datasets/small_sets.h"

namespace softmoe {
namespace {

using test::same_pixels;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

/// Tests of real fonts need some.
class CharactersTest : public testing::Test {
 protected:
  void SetUp() override {
    if (find_fonts("").empty()) {
      GTEST_SKIP() << "no fonts on this machine";
    }
  }

  static CharacterOptions options() {
    CharacterOptions options;
    options.scripts = {"latin", "greek"};
    options.min_faces = 2;
    options.epoch_images = 500;
    options.val_images = 60;
    return options;
  }
};

TEST_F(CharactersTest, DrawsAnImageFromItsIndexAlone) {
  const Characters first(options(), SplitKind::kTrain);
  const Characters second(options(), SplitKind::kTrain);
  for (const int64_t index : {7, 0, 123456789, 499}) {
    const auto a = first.get(index);
    const auto b = second.get(index);
    EXPECT_EQ(a.label, b.label);
    EXPECT_EQ(first.label(index), a.label);
    EXPECT_TRUE(same_pixels(a.image, b.image));
    EXPECT_EQ(a.image.size(), cv::Size(28, 28));
    EXPECT_EQ(a.image.type(), CV_8UC1);
  }
}

TEST_F(CharactersTest, DrawsTheSameInAnyThreadAndAfterAnotherSize) {
  const Characters set(options(), SplitKind::kTrain);
  auto large_options = options();
  large_options.size = 50;
  const Characters large(large_options, SplitKind::kTrain);
  const auto expected = set.get(3).image;
  std::vector<cv::Mat> images(4);
  std::vector<std::thread> threads;
  for (auto& image : images) {
    threads.emplace_back([&] {
      for (int64_t index = 0; index < 50; ++index) {
        set.get(index);
        large.get(index);
      }
      image = set.get(3).image;
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  for (const auto& image : images) {
    EXPECT_TRUE(same_pixels(image, expected));
  }
}

TEST_F(CharactersTest, NeverRepeatsAnImageWithinOrAcrossSplits) {
  const Characters train(options(), SplitKind::kTrain);
  const Characters val(options(), SplitKind::kVal);
  EXPECT_TRUE(train.endless());
  EXPECT_FALSE(val.endless());
  EXPECT_EQ(val.size(), 60);
  std::unordered_set<std::string> seen;
  const auto add = [&seen](const Sample& sample) {
    return seen.emplace(reinterpret_cast<const char*>(sample.image.data), sample.image.total())
        .second;
  };
  for (int64_t index = 0; index < 2000; ++index) {
    EXPECT_TRUE(add(train.get(index)));
  }
  for (int64_t index = 0; index < 60; ++index) {
    EXPECT_TRUE(add(val.get(index)));
  }
  EXPECT_THROW(val.get(60), c10::IndexError);
  EXPECT_THROW(train.get(-1), c10::IndexError);
  auto other_seed = options();
  other_seed.seed = 1;
  EXPECT_TRUE(add(Characters(other_seed, SplitKind::kTrain).get(0)));
}

TEST_F(CharactersTest, ShowsEveryClassAboutEquallyOften) {
  const Characters set(options(), SplitKind::kTrain);
  const auto classes = std::ssize(set.class_names());
  std::vector<int64_t> counts(static_cast<size_t>(classes), 0);
  const int64_t images = 400 * classes;
  for (int64_t index = 0; index < images; ++index) {
    ++counts[static_cast<size_t>(set.label(index))];
  }
  // Five standard deviations of a binomial count around 400.
  EXPECT_GT(*std::min_element(counts.begin(), counts.end()), 300);
  EXPECT_LT(*std::max_element(counts.begin(), counts.end()), 500);
}

TEST_F(CharactersTest, FillTheGivenShareOfTheFrame) {
  auto plain = options();
  plain.size = 64;
  plain.blur = 0.0;
  plain.noise = 0.0;
  const Characters set(plain, SplitKind::kTrain);
  double min_share = 1.0;
  double largest = 0.0;
  for (int64_t index = 0; index < 1500; ++index) {
    const auto image = set.get(index).image;
    int low_x = 64;
    int high_x = -1;
    int low_y = 64;
    int high_y = -1;
    for (int y = 0; y < 64; ++y) {
      for (int x = 0; x < 64; ++x) {
        if (image.at<uint8_t>(y, x) > 0) {
          low_x = std::min(low_x, x);
          high_x = std::max(high_x, x);
          low_y = std::min(low_y, y);
          high_y = std::max(high_y, y);
        }
      }
    }
    const double share = std::max(high_x - low_x + 1, high_y - low_y + 1) / 64.0;
    min_share = std::min(min_share, share);
    largest = std::max(largest, share);
  }
  // A box of 0.7 frames touches up to two pixels more, and faint corners may round to black.
  EXPECT_NEAR(min_share, 0.70, 2.0 / 64);
  EXPECT_NEAR(largest, 0.95, 2.0 / 64);
}

TEST_F(CharactersTest, NameTheirClassesAndLeaveDigitsOut) {
  const Characters letters(options(), SplitKind::kTrain);
  EXPECT_THAT(letters.class_names(), Contains("U+0041 A"));
  EXPECT_THAT(letters.class_names(), Contains("U+03A9 Ω"));
  EXPECT_THAT(letters.class_names(), Not(Contains("U+0037 7")));
  auto with_digits = options();
  with_digits.digits = true;
  EXPECT_THAT(Characters(with_digits, SplitKind::kVal).class_names(), Contains("U+0037 7"));
}

TEST_F(CharactersTest, KeepOneOfLettersThatLookAlike) {
  auto three = options();
  three.scripts = {"cyrillic", "greek", "latin"};
  const auto names = Characters(three, SplitKind::kTrain).class_names();
  EXPECT_THAT(names, Contains("U+0041 A"));
  EXPECT_THAT(names, Not(Contains("U+0391 Α")));
  EXPECT_THAT(names, Not(Contains("U+0410 А")));
  EXPECT_THAT(names, Contains("U+0416 Ж"));
}

TEST_F(CharactersTest, MoreFacesMakeFewerClasses) {
  auto many = options();
  many.min_faces = 1000000;
  EXPECT_THAT(test::input_error([&] { Characters(many, SplitKind::kTrain); }),
              HasSubstr("--min-faces"));
  const auto alphabet = Alphabet::build(options());
  for (int64_t label = 0; label < std::ssize(alphabet->class_names()); ++label) {
    EXPECT_GE(alphabet->num_glyphs(label), 2);
  }
}

TEST_F(CharactersTest, HoldDrawingsOfFontsOutForValidation) {
  const auto fonts = find_fonts("");
  auto held_out = options();
  held_out.val_fonts = {fonts.front().filename().string(), fonts.back().filename().string()};
  held_out.scripts = {"latin"};
  const auto alphabet = Alphabet::build(held_out);
  const auto points = [&](int64_t label, int64_t number, bool is_held_out) {
    const auto view = alphabet->glyph(label, number, is_held_out).points;
    std::vector<std::pair<int16_t, int16_t>> values;
    for (const auto& point : view) {
      values.emplace_back(point.x, point.y);
    }
    return values;
  };
  for (int64_t label = 0; label < std::ssize(alphabet->class_names()); ++label) {
    ASSERT_GE(alphabet->num_glyphs(label), 2);
    ASSERT_GE(alphabet->num_glyphs(label, true), 1);
    for (int64_t number = 0; number < alphabet->num_glyphs(label); ++number) {
      EXPECT_NE(points(label, number, false), points(label, 0, true));
    }
  }
  const auto train = Characters(options(), SplitKind::kTrain).get(5).image;
  EXPECT_FALSE(same_pixels(Characters(held_out, SplitKind::kTrain).get(5).image, train));
  EXPECT_NO_THROW(Characters(held_out, SplitKind::kVal).get(59));

  held_out.val_fonts = {"no such font.ttf"};
  EXPECT_THAT(test::input_error([&] { Characters(held_out, SplitKind::kVal); }),
              testing::AllOf(HasSubstr("char-val-fonts"), HasSubstr("no such font.ttf")));
}

TEST_F(CharactersTest, RejectWhatCannotBe) {
  auto bad = options();
  bad.scripts = {"klingon"};
  EXPECT_THAT(test::input_error([&] { Characters(bad, SplitKind::kTrain); }),
              testing::AllOf(HasSubstr("klingon"), HasSubstr("cyrillic")));
  bad = options();
  bad.fill_min = 0.9;
  bad.fill_max = 0.8;
  EXPECT_THROW(Characters(bad, SplitKind::kTrain), UsageError);
  bad = options();
  bad.font_dir = "/nonexistent";
  EXPECT_THAT(test::input_error([&] { Characters(bad, SplitKind::kTrain); }),
              HasSubstr("/nonexistent"));
  EXPECT_THROW(Characters(options(), SplitKind::kAll), UsageError);
}

TEST(Scripts, ListEveryLetterOnce) {
  const auto letters = letters_of({"all"});
  const std::set<char32_t> distinct(letters.begin(), letters.end());
  EXPECT_EQ(distinct.size(), letters.size());
  EXPECT_EQ(letters_of({"greek", "latin"}), letters_of({"latin", "greek"}));
  EXPECT_EQ(letters_of({"latin"}).size(), 52);
}

TEST(Scripts, WriteCharactersInUtf8) {
  EXPECT_EQ(letter_name(U'A'), "U+0041 A");
  EXPECT_EQ(letter_name(U'Ж'), "U+0416 Ж");
  EXPECT_EQ(letter_name(U'한'), "U+D55C 한");
  EXPECT_EQ(letter_name(U'𒀀'), "U+12000 𒀀");
}

}  // namespace
}  // namespace softmoe
