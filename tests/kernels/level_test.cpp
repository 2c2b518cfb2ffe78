#include "kernels/level.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "kernels/packed_product.h"

namespace softmoe::kernels::level_test {

using testing::HasSubstr;
using testing::Not;

TEST(Level, IsTheHighestUnlessTheVariableNamesALowerOne) {
  for (const Level highest : {Level::kPortable, Level::kAvx512Bf16}) {
    EXPECT_EQ(allowed_level("", highest), highest);
    EXPECT_EQ(allowed_level(enum_name(highest), highest), highest);
    EXPECT_EQ(allowed_level("portable", highest), Level::kPortable);
  }
}

std::string error_of(std::string_view wanted, Level highest) {
  try {
    allowed_level(wanted, highest);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Level, OfOtherNamesNamesTheVariableAndWhatTheProcessorAllows) {
  const auto unknown = error_of("avx9", Level::kAvx512Bf16);
  EXPECT_THAT(unknown, HasSubstr("SOFTMOE_ISA: expected one of portable, avx512_bf16"));
  EXPECT_THAT(unknown, HasSubstr("found 'avx9'"));
  const auto too_high = error_of("avx512_bf16", Level::kPortable);
  EXPECT_THAT(too_high, HasSubstr("SOFTMOE_ISA: expected one of portable, which"));
  EXPECT_THAT(too_high, HasSubstr("found 'avx512_bf16'"));
}

TEST(Level, PresentOnesRiseToTheHighest) {
  const auto levels = present_levels();
  ASSERT_FALSE(levels.empty());
  EXPECT_EQ(levels.front(), Level::kPortable);
  EXPECT_EQ(levels.back(), highest_level());
  EXPECT_TRUE(std::is_sorted(levels.begin(), levels.end()));
}

TEST(Level, IsLoweredForTheLifeOfAnObject) {
  const Level before = level();
  const bool had_fp32 = has(Need::kFp32);
  {
    const ScopedLevel portable(Level::kPortable);
    EXPECT_EQ(level(), Level::kPortable);
    for (const Need need : {Need::kFp32, Need::kBf16Products, Need::kInt8Products}) {
      EXPECT_FALSE(has(need));
    }
    EXPECT_FALSE(supported(Precision::kFloat32));
  }
  EXPECT_EQ(level(), before);
  EXPECT_EQ(has(Need::kFp32), had_fp32);
  EXPECT_EQ(supported(Precision::kBFloat16), has(Need::kBf16Products));
}

}  // namespace softmoe::kernels::level_test
