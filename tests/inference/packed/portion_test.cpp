#include "inference/packed/portion.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <vector>

namespace softmoe {
namespace {

TEST(Portion, CoversThePiecesOfAllImagesOnce) {
  constexpr int64_t kEach = 5;
  for (const int64_t images : {1, 2, 3, 6, 7}) {
    for (const int64_t threads : {1, 2, 3, 4}) {
      std::vector<int> count(static_cast<size_t>(images * kEach));
      for (int64_t rank = 0; rank < threads; ++rank) {
        const ThreadTeam team{.rank = rank, .size = threads};
        for_each_portion(team, images, [&](const Portion& portion) {
          const auto range = portion.of(kEach);
          for (int64_t piece = range.first; piece < range.last; ++piece) {
            ++count[static_cast<size_t>(piece)];
          }
        });
      }
      EXPECT_EQ(count, std::vector<int>(count.size(), 1)) << images << " images, " << threads;
    }
  }
}

TEST(Portion, HasOnePlacePerThreadIfThreadsTakeWholeImages) {
  EXPECT_EQ(places(/*images=*/6, /*threads=*/3), 3);
  EXPECT_EQ(places(/*images=*/7, /*threads=*/3), 7);
  const ThreadTeam team{.rank = 1, .size = 3};
  std::vector<int64_t> images;
  for_each_portion(team, /*images=*/6, [&](const Portion& portion) {
    images.push_back(portion.image);
    EXPECT_EQ(portion.place(portion.image), 1);
  });
  EXPECT_EQ(images, (std::vector<int64_t>{2, 3}));
  for_each_portion(team, /*images=*/7, [](const Portion& portion) {
    EXPECT_EQ(portion.image, -1);
    EXPECT_EQ(portion.place(4), 4);
  });
}

TEST(RowBlocks, CoverARangeInPartsOfAboutTheSameSize) {
  for (const int64_t last : {3, 4, 17, 18, 30}) {
    int64_t next = 3;
    std::vector<int64_t> sizes;
    for_each_block({3, last}, /*max_rows=*/7, [&](int64_t first, int64_t count) {
      EXPECT_EQ(first, next);
      EXPECT_LE(count, 7);
      sizes.push_back(count);
      next = first + count;
    });
    EXPECT_EQ(next, last);
    for (const int64_t size : sizes) {
      EXPECT_LE(std::abs(size - sizes.front()), 1);
    }
  }
}

}  // namespace
}  // namespace softmoe
