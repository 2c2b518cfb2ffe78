#include "core/duration.h"

#include <gtest/gtest.h>

namespace softmoe {
namespace {

TEST(Duration, IsReadInEveryUnit) {
  EXPECT_EQ(parse_duration("90")->seconds, 90);
  EXPECT_EQ(parse_duration("0.5s")->seconds, 0.5);
  EXPECT_EQ(parse_duration("10min")->seconds, 600);
  EXPECT_EQ(parse_duration("10m")->seconds, 600);
  EXPECT_EQ(parse_duration("1.5h")->seconds, 5400);
  EXPECT_EQ(parse_duration("2d")->seconds, 172800);
  EXPECT_EQ(parse_duration("0")->seconds, 0);
}

TEST(Duration, OtherTextsAreNone) {
  for (const auto* text : {"", "s", "min", "-1s", "1 min", "10minutes", "1e400s", "nan", "inf",
                           "1h30", "0x10", "+5s"}) {
    EXPECT_FALSE(parse_duration(text).has_value()) << text;
  }
}

TEST(Duration, IsWrittenSoThatItReadsBack) {
  EXPECT_EQ(duration_text({0}), "0s");
  EXPECT_EQ(duration_text({90}), "90s");
  EXPECT_EQ(duration_text({600}), "10min");
  EXPECT_EQ(duration_text({5400}), "90min");
  EXPECT_EQ(duration_text({7200}), "2h");
  for (const double seconds : {0.0, 1e-9, 1.0 / 3, 59.9, 86400.0, 1e9 + 0.5}) {
    EXPECT_EQ(parse_duration(duration_text({seconds}))->seconds, seconds);
  }
}

}  // namespace
}  // namespace softmoe
