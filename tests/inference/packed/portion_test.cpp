#include "inference/packed/portion.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <vector>

namespace softmoe {
namespace {

/// Texts of 1, 4 and 6 tokens, 3, 20 and 5 of them.
SequenceRows some_texts() { return SequenceRows::of_texts({.runs = {{3, 1}, {20, 4}, {5, 6}}}); }

DividedSequences divided_images(int64_t images, int64_t threads) {
  return {SequenceRows::of_images(images, /*tokens=*/5), threads, /*max_rows=*/40};
}

/// Checks that the portions of all threads have each row and each piece once.
void expect_each_once(const DividedSequences& batch) {
  constexpr int64_t kEach = 3;
  const auto& sequences = batch.sequences();
  std::vector<int> rows(static_cast<size_t>(sequences.rows()));
  std::vector<int> pieces(static_cast<size_t>(sequences.count() * kEach));
  for (int64_t rank = 0; rank < batch.threads(); ++rank) {
    const ThreadTeam team{.rank = rank, .size = batch.threads()};
    for_each_portion(team, batch, [&](const Portion& portion) {
      const auto own = portion.rows();
      for (int64_t row = own.first; row < own.last; ++row) {
        ++rows[static_cast<size_t>(row)];
        EXPECT_LT(portion.row_place(row), batch.row_places());
      }
      const auto range = portion.of(kEach);
      for (int64_t piece = range.first; piece < range.last; ++piece) {
        ++pieces[static_cast<size_t>(piece)];
        EXPECT_LT(portion.place(piece / kEach), batch.places());
      }
    });
  }
  EXPECT_EQ(rows, std::vector<int>(rows.size(), 1));
  EXPECT_EQ(pieces, std::vector<int>(pieces.size(), 1));
}

TEST(Portion, CoversTheRowsAndPiecesOfAllSequencesOnce) {
  for (const int64_t threads : {1, 2, 3, 4, 40}) {
    for (const int64_t images : {1, 2, 3, 6, 7}) {
      expect_each_once(divided_images(images, threads));
    }
    for (const int64_t max_rows : {7, 40, 1000}) {
      expect_each_once({some_texts(), threads, max_rows});
    }
  }
}

TEST(Portion, HasOnePlacePerThreadIfThreadsTakeWholeImages) {
  EXPECT_EQ(divided_images(/*images=*/6, /*threads=*/3).places(), 3);
  EXPECT_EQ(divided_images(/*images=*/7, /*threads=*/3).places(), 7);
  const ThreadTeam team{.rank = 1, .size = 3};
  std::vector<int64_t> images;
  for_each_portion(team, divided_images(6, 3), [&](const Portion& portion) {
    images.push_back(portion.first);
    EXPECT_EQ(portion.place(portion.first), 1);
    EXPECT_EQ(portion.row_place(portion.first * 5 + 2), 7);
  });
  EXPECT_EQ(images, (std::vector<int64_t>{2, 3}));
  for_each_portion(team, divided_images(7, 3), [](const Portion& portion) {
    EXPECT_TRUE(portion.is_share());
    EXPECT_EQ(portion.place(4), 4);
  });
}

TEST(SequenceRows, PutTextsIntoGroupsOfAboutTheSameRows) {
  const auto texts = some_texts();
  EXPECT_EQ(texts.rows(), 113);
  EXPECT_EQ(texts.max_tokens(), 6);
  EXPECT_EQ(texts.sequence_of(2), 2);
  EXPECT_EQ(texts.sequence_of(3), 3);
  EXPECT_EQ(texts.sequence_of(6), 3);
  EXPECT_EQ(texts.sequence_of(112), 27);
  EXPECT_EQ(texts.groups(/*threads=*/2, /*max_rows=*/40), (std::vector<int64_t>{0, 9, 16, 23, 28}));
  EXPECT_TRUE(texts.groups(/*threads=*/20, /*max_rows=*/40).empty());
}

TEST(SequenceParts, HaveOneSequenceEach) {
  const auto texts = some_texts();
  std::vector<std::array<int64_t, 3>> parts;
  for_each_sequence(texts, {2, 9}, [&](int64_t sequence, int64_t first, int64_t last) {
    parts.push_back({sequence, first, last});
  });
  EXPECT_EQ(parts, (std::vector<std::array<int64_t, 3>>{{2, 2, 3}, {3, 3, 7}, {4, 7, 9}}));
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
