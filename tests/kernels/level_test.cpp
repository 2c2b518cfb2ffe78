#include "kernels/level.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "kernels/table.h"

namespace softmoe::kernels::level_test {

using testing::HasSubstr;

const std::vector<Level> kFew{Level::kPortable, Level::kAvx2, Level::kAvx512};

TEST(Level, IsTheHighestUnlessTheVariableNamesAnother) {
  EXPECT_EQ(chosen_level("", kFew), Level::kAvx512);
  for (const Level wanted : kFew) {
    EXPECT_EQ(chosen_level(enum_name(wanted), kFew), wanted);
  }
}

std::string error_of(std::string_view wanted) {
  try {
    chosen_level(wanted, kFew);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Level, OfOtherNamesNamesTheVariableAndWhatTheProcessorRuns) {
  for (const char* const wanted : {"avx9", "avx512_bf16", "avx2_vnni"}) {
    EXPECT_THAT(error_of(wanted),
                HasSubstr("SOFTMOE_ISA: expected one of portable, avx2, avx512, which"));
    EXPECT_THAT(error_of(wanted), HasSubstr("found '" + std::string(wanted) + "'"));
  }
}

TEST(Level, PresentOnesRiseFromThePortableToTheHighest) {
  const auto& levels = present_levels();
  ASSERT_FALSE(levels.empty());
  EXPECT_EQ(levels.front(), Level::kPortable);
  EXPECT_EQ(levels.back(), highest_level());
  EXPECT_TRUE(std::is_sorted(levels.begin(), levels.end()));
}

TEST(Level, ChangesForTheLifeOfAnObject) {
  const Level before = level();
  for (const Level wanted : present_levels()) {
    const ScopedLevel scope(wanted);
    EXPECT_EQ(level(), wanted);
    EXPECT_EQ(&table(), &table_of(wanted));
    EXPECT_EQ(has(Need::kFp32), wanted != Level::kPortable);
    EXPECT_EQ(has(Need::kBf16), wanted != Level::kPortable);
    EXPECT_EQ(has(Need::kBf16Products), wanted >= Level::kAvx512Bf16);
  }
  EXPECT_EQ(level(), before);
}

TEST(Level, EachHasKernelsOfItsOwn) {
  for (const Level one : present_levels()) {
    for (const Level other : present_levels()) {
      // Levels with VNNI share all but the products of integers with the level below.
      EXPECT_EQ(table_of(one).product_int8 == table_of(other).product_int8, one == other);
    }
  }
}

}  // namespace softmoe::kernels::level_test
