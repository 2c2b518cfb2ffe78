#include "softmoe/capacity.h"

#include "io/npz.h"
#include "support/temporary_folder.h"

namespace softmoe::capacity_test {

TEST(ExpertCapacity, IsThatOfTheReference) {
  const auto path = test::fixture("vmoe/recipe.npz");
  const auto table = npz_array(read_npz(path), "capacity_table", path);  // [rows, 6]
  ASSERT_EQ(table.size(0), 12);
  for (int64_t row = 0; row < table.size(0); ++row) {
    const auto value = [&](int64_t column) { return table[row][column].item<double>(); };
    const auto count = [&](int64_t column) { return static_cast<int64_t>(value(column)); };
    const auto rounding = count(3) == 1 ? CapacityRounding::kNearest : CapacityRounding::kUp;
    EXPECT_EQ(expert_capacity(count(0), count(1), value(2), rounding, count(4)), count(5))
        << "row " << row;
  }
}

TEST(ExpertCapacity, RoundsHalvesToEvenOrUp) {
  EXPECT_EQ(expert_capacity(10, 4, 1.0, CapacityRounding::kNearest, 0), 2);  // 2.5
  EXPECT_EQ(expert_capacity(14, 4, 1.0, CapacityRounding::kNearest, 0), 4);  // 3.5
  EXPECT_EQ(expert_capacity(11, 4, 1.0, CapacityRounding::kNearest, 0), 3);  // 2.75
  EXPECT_EQ(expert_capacity(9, 4, 1.0, CapacityRounding::kUp, 0), 3);        // 2.25
  EXPECT_EQ(expert_capacity(8, 4, 1.0, CapacityRounding::kUp, 0), 2);
}

TEST(ExpertCapacity, IsAtLeastOneRowAndAMultiple) {
  EXPECT_EQ(expert_capacity(3, 4096, 1.0, CapacityRounding::kNearest, 0), 1);
  EXPECT_EQ(expert_capacity(3, 4096, 1.0, CapacityRounding::kNearest, 6), 6);
  EXPECT_EQ(expert_capacity(0, 7, 1.0, CapacityRounding::kUp, 0), 1);
  EXPECT_EQ(expert_capacity(24, 4, 1.0, CapacityRounding::kUp, 6), 6);
  EXPECT_EQ(expert_capacity(25, 4, 1.0, CapacityRounding::kUp, 6), 12);
}

TEST(ExpertCapacity, StaysFiniteWhateverTheFactor) {
  constexpr auto kLargest = std::numeric_limits<int64_t>::max();
  for (const double factor : {1e18, 1e300, std::numeric_limits<double>::infinity()}) {
    for (const int64_t multiple : {int64_t{0}, int64_t{4}, kLargest}) {
      const auto capacity = expert_capacity(197, 8, factor, CapacityRounding::kUp, multiple);
      EXPECT_GE(capacity, int64_t{1} << 53) << factor << ", " << multiple;
    }
  }
}

TEST(ExpertCapacity, RefusesWhatMakesNoSense) {
  const auto up = CapacityRounding::kUp;
  EXPECT_THROW(expert_capacity(8, 0, 1.0, up, 0), c10::ValueError);
  EXPECT_THROW(expert_capacity(-8, 4, 1.0, up, 0), c10::ValueError);
  EXPECT_THROW(expert_capacity(8, 4, 0.0, up, 0), c10::ValueError);
  EXPECT_THROW(expert_capacity(8, 4, -1.0, up, 0), c10::ValueError);
  EXPECT_THROW(expert_capacity(8, 4, std::nan(""), up, 0), c10::ValueError);
  EXPECT_THROW(expert_capacity(8, 4, 1.0, up, -1), c10::ValueError);
}

TEST(CapacityFactor, OfEvaluationIsThatOfTrainingUnlessGiven) {
  MoeOptions options;
  options.capacity_factor = 1.05;
  EXPECT_EQ(capacity_factor(options, /*training=*/true), 1.05);
  EXPECT_EQ(capacity_factor(options, /*training=*/false), 1.05);
  options.sparse.eval_capacity_factor = 4.0;
  EXPECT_EQ(capacity_factor(options, /*training=*/true), 1.05);
  EXPECT_EQ(capacity_factor(options, /*training=*/false), 4.0);
}

}  // namespace softmoe::capacity_test
