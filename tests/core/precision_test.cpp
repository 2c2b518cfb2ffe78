#include "core/precision.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace softmoe {
namespace {

TEST(Precision, IsParsedFromItsNameAndItsShortName) {
  for (const auto& [precision, name] : kEnumNames<Precision>) {
    EXPECT_EQ(parse_precision(std::string(name)), precision);
  }
  EXPECT_EQ(parse_precision("fp32"), Precision::kFloat32);
  EXPECT_EQ(parse_precision("bf16"), Precision::kBFloat16);
  EXPECT_EQ(parse_precision("fp16"), Precision::kFloat16);
  EXPECT_EQ(parse_precision("fp64"), Precision::kFloat64);
  for (const char* const name : {"", "int4", "BFloat16", "auto"}) {
    EXPECT_THROW(parse_precision(name), UsageError) << name;
  }
}

TEST(Precision, HasShortNames) {
  EXPECT_EQ(full_precision_name("bf16"), "bfloat16");
  EXPECT_EQ(full_precision_name("auto"), "auto");
  EXPECT_EQ(short_precision_name("float16"), "fp16");
  EXPECT_EQ(short_precision_name("int8"), "");
}

TEST(Precision, HasWeightsOf8BitsInInt8Alone) {
  EXPECT_TRUE(has_8_bit_weights(Precision::kInt8));
  EXPECT_TRUE(has_8_bit_weights(Precision::kInt8Experts));
  EXPECT_FALSE(has_8_bit_weights(Precision::kBFloat16));
  EXPECT_FALSE(has_8_bit_weights(Precision::kFloat16));
}

}  // namespace
}  // namespace softmoe
