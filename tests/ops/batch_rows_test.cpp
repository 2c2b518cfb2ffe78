#include "ops/batch_rows.h"

#include <gtest/gtest.h>

#include "support/tensor_matcher.h"

namespace softmoe::test::batch_rows {
namespace {

/// What `draw` gives with the generator at its beginning.
template <typename Draw>
torch::Tensor from_the_beginning(const Draw& draw) {
  torch::manual_seed(3);
  return draw();
}

TEST(BatchRows, AnImageGetsTheNumbersThatItGetsInTheWholeBatch) {
  const auto x = torch::rand({8, 5, 7});  // [batch, tokens, dim]
  const auto part = x.narrow(0, 2, 4);    // [4, tokens, dim]
  const auto normal = from_the_beginning([&] { return randn_rows(x); });
  const auto dropped = from_the_beginning([&] { return dropout_rows(x, 0.3, true); });
  const auto groups = from_the_beginning([&] { return randn_rows(x.view({4, 10, 7})); });
  const BatchRows rows(/*first=*/2, /*count=*/4, /*total=*/8);
  EXPECT_TRUE(
      same_bits(from_the_beginning([&] { return randn_rows(part); }), normal.narrow(0, 2, 4)));
  EXPECT_TRUE(same_bits(from_the_beginning([&] { return dropout_rows(part, 0.3, true); }),
                        dropped.narrow(0, 2, 4)));
  EXPECT_TRUE(same_bits(from_the_beginning([&] {
                          return randn_rows(part.reshape({2, 10, 7}));
                        }),
                        groups.narrow(0, 1, 2)));
}

TEST(BatchRows, WithoutOneNumbersAreThoseOfLibtorch) {
  const auto x = torch::rand({3, 4});  // [batch, dim]
  EXPECT_TRUE(same_bits(from_the_beginning([&] { return dropout_rows(x, 0.5, true); }),
                        from_the_beginning([&] { return torch::dropout(x, 0.5, true); })));
  EXPECT_TRUE(same_bits(from_the_beginning([&] { return randn_rows(x); }),
                        from_the_beginning([&] { return torch::randn_like(x); })));
  EXPECT_TRUE(same_bits(dropout_rows(x, 0.5, /*training=*/false), x));
}

TEST(BatchRows, EndsWithItsScope) {
  {
    const BatchRows outer(0, 2, 4);
    {
      const BatchRows inner(2, 2, 8);
      EXPECT_EQ(BatchRows::current(), &inner);
    }
    EXPECT_EQ(BatchRows::current(), &outer);
  }
  EXPECT_EQ(BatchRows::current(), nullptr);
}

TEST(BatchRows, RefusesRowsThatAreNoWholeImages) {
  EXPECT_THROW(BatchRows(2, 3, 4), c10::ValueError);
  const BatchRows rows(0, 4, 8);
  EXPECT_THROW(randn_rows(torch::rand({3, 2})), c10::ValueError);
}

}  // namespace
}  // namespace softmoe::test::batch_rows
