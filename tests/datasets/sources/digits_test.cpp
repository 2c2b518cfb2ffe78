#include "datasets/sources/digits.h"

#include <gmock/gmock.h>

#include <array>

#include "datasets/small_sets.h"

namespace softmoe {
namespace {

using testing::ElementsAre;

TEST(Digits, AreAllThereAndSplitByWriter) {
  const auto train = open_digits(SplitKind::kTrain);
  const auto val = open_digits(SplitKind::kVal);
  const auto all = open_digits(SplitKind::kAll);
  EXPECT_EQ(train->size(), 898);
  EXPECT_EQ(val->size(), 899);
  ASSERT_EQ(all->size(), 1797);
  EXPECT_TRUE(test::same_pixels(all->get(898 + 5).image, val->get(5).image));
  std::array<int64_t, 10> counts{};
  for (int64_t index = 0; index < all->size(); ++index) {
    ++counts[static_cast<size_t>(all->label(index))];
  }
  // As the collection's own description counts them.
  EXPECT_THAT(counts, ElementsAre(178, 182, 177, 183, 181, 182, 181, 179, 174, 180));
}

TEST(Digits, ScaleSixteenToWhite) {
  const auto train = open_digits(SplitKind::kTrain);
  // The first record of the collection: a zero, its second row 0 0 13 15 10 15 5 0.
  const auto first = train->get(0);
  EXPECT_EQ(first.label, 0);
  const std::vector<uint8_t> row(first.image.ptr(1), first.image.ptr(1) + 8);
  EXPECT_THAT(row, ElementsAre(0, 0, 207, 239, 159, 239, 80, 0));
  uint8_t brightest = 0;
  for (int i = 0; i < 64; ++i) {
    brightest = std::max(brightest, first.image.data[i]);
  }
  EXPECT_GE(brightest, 239);
}

}  // namespace
}  // namespace softmoe
