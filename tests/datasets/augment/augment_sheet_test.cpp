#include "datasets/augment/augment_sheet.h"

#include "datasets/small_sets.h"

namespace softmoe {
namespace {

TEST(AugmentSheet, ShowsEvaluationAndThenTraining) {
  test::NumberedSet set(3);
  set.bad = {2};
  PreprocessOptions options;
  options.input_size = {1, 5, 7};
  options.augment.aa = "rand-m9-p1";
  const auto sheet = augment_sheet(set, options, {.columns = 4, .rows = 9, .side = 14});
  ASSERT_EQ(sheet.size(), cv::Size(4 * 14, 3 * 14));
  ASSERT_EQ(sheet.type(), CV_8UC1);
  const auto tile = [&sheet](int row, int column) {
    return sheet(cv::Rect(column * 14, row * 14, 14, 14)).clone();
  };
  EXPECT_FALSE(test::same_pixels(tile(0, 0), tile(1, 0)));
  EXPECT_FALSE(test::same_pixels(tile(1, 1), tile(1, 2)) &&
               test::same_pixels(tile(1, 2), tile(1, 3)));
  EXPECT_EQ(cv::countNonZero(tile(2, 0)), 0);
  options.augment = {};
  const auto plain = augment_sheet(set, options, {.columns = 2, .rows = 2, .side = 14});
  EXPECT_TRUE(test::same_pixels(plain(cv::Rect(0, 0, 14, 28)).clone(),
                                plain(cv::Rect(14, 0, 14, 28)).clone()));
}

}  // namespace
}  // namespace softmoe
