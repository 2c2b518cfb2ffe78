#include "datasets/inspection.h"

#include <gmock/gmock.h>

#include "datasets/image_file.h"
#include "datasets/small_sets.h"
#include "datasets/sources/image_folder.h"
#include "support/temporary_folder.h"

namespace softmoe {
namespace {

using test::NumberedSet;
using testing::DoubleNear;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(Inspection, SummarizesSizesAndColours) {
  const test::TemporaryFolder folder;
  cv::Mat wide(2, 6, CV_8UC3, cv::Scalar(255, 0, 51));
  cv::Mat high(4, 3, CV_8UC3, cv::Scalar(0, 0, 51));
  test::write_file(folder / "a" / "wide.png", encode_png(wide));
  test::write_file(folder / "a" / "high.png", encode_png(high));
  test::write_file(folder / "b" / "damaged.png", {1, 2, 3});
  const auto set = open_image_folder(folder.path(), "all");
  const auto summary = summarize(*set, 100);
  EXPECT_THAT(summary.class_images, ElementsAre(2, 1));
  EXPECT_EQ(summary.decoded, 2);
  EXPECT_EQ(summary.min_height, 2);
  EXPECT_EQ(summary.max_height, 4);
  EXPECT_EQ(summary.min_width, 3);
  EXPECT_EQ(summary.max_width, 6);
  EXPECT_THAT(summary.mean,
              ElementsAre(DoubleNear(0.5, 1e-9), DoubleNear(0.0, 1e-9), DoubleNear(0.2, 1e-9)));
  EXPECT_THAT(summary.std,
              ElementsAre(DoubleNear(0.5, 1e-9), DoubleNear(0.0, 1e-9), DoubleNear(0.0, 1e-9)));
  ASSERT_EQ(summary.bad.size(), 1);
  EXPECT_THAT(summary.bad[0].reason, HasSubstr("damaged.png"));
}

TEST(Inspection, GrayImagesHaveOneChannel) {
  const auto summary = summarize(NumberedSet(50), 7);
  EXPECT_EQ(summary.decoded, 7);
  EXPECT_EQ(summary.mean.size(), 1);
  EXPECT_THAT(summary.class_images, ElementsAre(17, 17, 16));
}

TEST(Inspection, FindsEveryBadImageInOrder) {
  NumberedSet set(300);
  set.bad = {299, 0, 150};
  const auto bad = find_bad_images(set, /*workers=*/3);
  ASSERT_EQ(bad.size(), 3);
  EXPECT_EQ(bad[0].index, 0);
  EXPECT_EQ(bad[1].index, 150);
  EXPECT_EQ(bad[2].index, 299);
}

TEST(Inspection, SheetsShowTheMiddleOfEachImage) {
  NumberedSet set(6);
  set.bad = {4};
  const auto sheet = contact_sheet(set, /*columns=*/3, /*rows=*/2, /*side=*/10);
  ASSERT_EQ(sheet.size(), cv::Size(30, 20));
  // 5x7 pixels: the square in the middle leaves out one column on each side; pixels doubled.
  for (const int64_t index : {0, 2, 3}) {
    const auto image = set.get(index).image;
    const int top = static_cast<int>(index / 3) * 10;
    const int left = static_cast<int>(index % 3) * 10;
    EXPECT_EQ(sheet.at<uint8_t>(top + 9, left + 3), image.at<uint8_t>(4, 2));
  }
  EXPECT_EQ(sheet.at<uint8_t>(15, 15), 0);
}

TEST(Inspection, SheetsOfGrayAndColourAreInColour) {
  const test::TemporaryFolder folder;
  test::write_file(folder / "a" / "0.png", encode_png(cv::Mat(4, 4, CV_8UC3, cv::Scalar(9, 8, 7))));
  const auto colour = open_image_folder(folder.path(), "all");
  const auto sheet = contact_sheet(*colour, /*columns=*/2, /*rows=*/1, /*side=*/4);
  ASSERT_EQ(sheet.type(), CV_8UC3);
  EXPECT_EQ(sheet.at<cv::Vec3b>(1, 1), cv::Vec3b(9, 8, 7));
  EXPECT_EQ(sheet.at<cv::Vec3b>(1, 5), cv::Vec3b(0, 0, 0));
}

}  // namespace
}  // namespace softmoe
