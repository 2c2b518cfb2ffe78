#include "io/shape_bytes.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace softmoe {
namespace {

std::optional<int64_t> bytes_of(const std::vector<int64_t>& shape, int64_t item_bytes) {
  return shape_bytes(shape, item_bytes);
}

TEST(ShapeBytes, IsTheProductOfSizes) {
  EXPECT_EQ(bytes_of({}, 8), 8);
  EXPECT_EQ(bytes_of({3, 5, 7}, 2), 210);
  EXPECT_EQ(bytes_of({3, 0, 7}, 2), 0);
}

TEST(ShapeBytes, IsNothingIfAPartialProductOverflows) {
  const int64_t half = std::numeric_limits<int64_t>::max() / 2;
  EXPECT_EQ(bytes_of({half}, 2), 2 * half);
  EXPECT_EQ(bytes_of({half}, 4), std::nullopt);
  EXPECT_EQ(bytes_of({0, half, 3}, 1), std::nullopt);
  EXPECT_EQ(bytes_of({half, 3, 0}, 1), std::nullopt);
}

TEST(ShapeBytes, IsNothingForNegativeSizes) { EXPECT_EQ(bytes_of({2, -1}, 4), std::nullopt); }

}  // namespace
}  // namespace softmoe
