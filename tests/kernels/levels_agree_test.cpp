#include "kernels/kernel_test.h"
#include "kernels/values/kernel_values.h"

namespace softmoe::kernels::levels_agree_test {

using LevelsAgreeTest = test::LevelTest;
INSTANTIATE_TEST_SUITE_P(Levels, LevelsAgreeTest, test::every_level(), test::level_name);

TEST_P(LevelsAgreeTest, EveryKernelComputesWhatThePortableOneDoes) {
  const auto portable = values::all_values(table_of(Level::kPortable));
  for (const auto& row : values::errors_of(portable, values::all_values(table()))) {
    EXPECT_TRUE(row.is_allowed()) << row.worst << ": " << row.error;
  }
}

}  // namespace softmoe::kernels::levels_agree_test
