#include "benchmark/throughput_record.h"

#include <c10/util/Exception.h>
#include <gtest/gtest.h>

namespace softmoe {
namespace {

TEST(Spread, IsMedianAndEnds) {
  const auto odd = spread_of({5, 1, 3});
  EXPECT_EQ(odd.median, 3);
  EXPECT_EQ(odd.minimum, 1);
  EXPECT_EQ(odd.maximum, 5);
  EXPECT_EQ(spread_of({4, 1, 3, 2}).median, 2.5);
  EXPECT_THROW(spread_of({}), c10::ValueError);
}

TEST(ThroughputRecord, FollowsFromTheRatesOfItsRounds) {
  ThroughputRecord record{.model = "m", .images_per_second = {10, 20, 40}};
  EXPECT_EQ(record.rate().median, 20);
  EXPECT_EQ(record.milliseconds().median, 50);
  EXPECT_EQ(record.milliseconds().minimum, 25);
  record.gflop = 2;
  record.matmul_peak_gflops = 80;
  EXPECT_EQ(record.gflops(), 40);
  EXPECT_EQ(record.matmul_share(), 0.5);
  const auto json = to_json(record);
  EXPECT_EQ(json["images_per_second"]["maximum"].get<double>(), 40);
  EXPECT_TRUE(json["ratio_to_baseline"].is_null());
  EXPECT_EQ(json["mode"].get<std::string>(), "infer");
}

TEST(ThroughputTable, SaysWhereModelsRanAlone) {
  ThroughputRecord record{
      .model = "vit_b16", .precision = Precision::kBFloat16, .images_per_second = {10, 20, 40}};
  record.matmul_peak_gflops = 80;
  EXPECT_EQ(throughput_table({record}).find("Not interleaved"), std::string::npos);
  record.interleaved = false;
  EXPECT_NE(throughput_table({record}).find("Not interleaved"), std::string::npos);
}

}  // namespace
}  // namespace softmoe
