/// The rounding of fp32 to bf16, which must not depend on the level.

#include <array>
#include <bit>

#include "kernels/kernel_test.h"

namespace softmoe::kernels::bf16_rounding_test {

using test::Bf16s;
using test::Floats;
using test::on_every_level;

/// The bits of an fp32 and of the bf16 that it rounds to.
struct Rounding {
  Unit fp32;
  Bf16 bf16;
};
constexpr std::array<Rounding, 19> kRoundings{{
    {0x00000000, 0x0000}, {0x80000000, 0x8000},  // zeros
    {0x3F800000, 0x3F80}, {0x3F807FFF, 0x3F80},  // below a tie
    {0x3F808000, 0x3F80}, {0x3F818000, 0x3F82},  // ties go to even
    {0xBF808000, 0xBF80}, {0xBF818000, 0xBF82},
    {0x3F808001, 0x3F81}, {0x3FFFFFFF, 0x4000},  // the exponent rises
    {0x00800000, 0x0080}, {0x7F7F7FFF, 0x7F7F},  // the least and the largest
    {0x7F7FFFFF, 0x7F80}, {0xFF7FFFFF, 0xFF80},  // above the largest
    {0x7F800000, 0x7F80}, {0xFF800000, 0xFF80},  // infinities
    {0x7FC00000, 0x7FC0}, {0xFFC12345, 0xFFC1},  // NaN
    {0x7F800001, 0x7FC0},                        // NaN whose bits are all in the lower half
}};

TEST(Bf16Rounding, GoesToTheNearestOrEvenAndKeepsNaN) {
  on_every_level([] {
    for (const auto& [fp32, expected] : kRoundings) {
      const auto value = std::bit_cast<float>(fp32);
      // As one of many, and as one that no vector is filled by.
      for (const int64_t count : {1, 7, 64}) {
        const Floats source(static_cast<size_t>(count), value);
        Bf16s target(source.size());
        table().copy_row({.fp32 = source.data()}, count, {.bf16 = target.data()});
        EXPECT_EQ(target, Bf16s(source.size(), expected)) << std::hex << fp32;
        Bf16s even(static_cast<size_t>(round_up(count, 2)), 7);
        table().to_bf16({.fp32 = source.data()}, count, 1, count, even.data(), count);
        even.resize(source.size());
        EXPECT_EQ(even, target) << std::hex << fp32;
      }
    }
  });
}

// Processors that round by an instruction of their own take values below 2^-126 for zero.
TEST(Bf16Rounding, OfDenormalsMayGiveZero) {
  for (const auto& [fp32, expected] :
       {Rounding{0x00018001, 0x0002}, {0x007FFFFF, 0x0080}, {0x80008001, 0x8001}}) {
    const auto value = std::bit_cast<float>(fp32);
    on_every_level([&, expected = expected] {
      Bf16 actual = 7;
      table().copy_row({.fp32 = &value}, 1, {.bf16 = &actual});
      const Bf16 zero = expected & 0x8000U;
      EXPECT_TRUE(actual == expected || (has(Need::kBf16Products) && actual == zero)) << actual;
    });
  }
}

}  // namespace softmoe::kernels::bf16_rounding_test
