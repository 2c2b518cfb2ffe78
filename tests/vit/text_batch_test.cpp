#include "vit/text_batch.h"

#include <gtest/gtest.h>

#include "support/tensor_matcher.h"

namespace softmoe {
namespace {

TEST(PackTexts, PutsTheShortestFirstAndLeavesPaddingOut) {
  const auto ids = torch::tensor({{11, 12, 13, 0}, {21, 0, 0, 0}, {31, 32, 33, 0}, {41, 42, 0, 0}});
  const auto texts = pack_texts(ids, torch::tensor({3, 1, 3, 2}), /*context=*/6);
  const std::vector<PackedSequences::Run> runs{{1, 1}, {1, 2}, {2, 3}};
  EXPECT_EQ(texts.sequences.runs, runs);
  EXPECT_EQ(texts.sequences.tokens(), 9);
  using test::same_bits;
  EXPECT_TRUE(same_bits(texts.ids, torch::tensor({21, 41, 42, 11, 12, 13, 31, 32, 33})));
  EXPECT_TRUE(same_bits(texts.positions, torch::tensor({0, 0, 1, 0, 1, 2, 0, 1, 2})));
  EXPECT_TRUE(same_bits(texts.first, torch::tensor({3, 0, 6, 1})));
  EXPECT_TRUE(same_bits(texts.place, torch::tensor({2, 0, 3, 1})));
  EXPECT_TRUE(same_bits(ids.flatten().index_select(0, texts.cells), texts.ids));
}

TEST(PackTexts, RefusesBatchesThatAreNone) {
  const auto lengths = torch::ones({2}, torch::kInt64);
  EXPECT_THROW(pack_texts(torch::zeros({2, 3}), lengths, 3), c10::ValueError);
  EXPECT_THROW(pack_texts(torch::zeros({3}, torch::kInt64), lengths, 3), c10::ValueError);
  const auto none = torch::zeros({0, 3}, torch::kInt64);
  EXPECT_THROW(pack_texts(none, torch::zeros({0}, torch::kInt64), 3), c10::ValueError);
}

}  // namespace
}  // namespace softmoe
