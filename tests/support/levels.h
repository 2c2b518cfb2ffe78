#pragma once
/// Tests on every level of kernels that the processor runs.

#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <ostream>
#include <string>

#include "kernels/level.h"

namespace softmoe {

inline void PrintTo(Precision precision, std::ostream* out) { *out << enum_name(precision); }

namespace kernels {

inline void PrintTo(Level level, std::ostream* out) { *out << enum_name(level); }

}  // namespace kernels
}  // namespace softmoe

namespace softmoe::test {

inline auto every_level() { return testing::ValuesIn(kernels::present_levels()); }
inline std::string level_name(const testing::TestParamInfo<kernels::Level>& item) {
  return enum_name(item.param);
}

/// The precisions of what kernels read and write.
inline constexpr std::array kKernelPrecisions{Precision::kFloat32, Precision::kBFloat16};

/// Runs on the level that is its parameter.
class LevelTest : public testing::TestWithParam<kernels::Level> {
 protected:
  void SetUp() override { level_.emplace(GetParam()); }

 private:
  std::optional<kernels::ScopedLevel> level_;
};

/// Calls function() on every level.
template <typename Function>
void on_every_level(const Function& function) {
  for (const auto level : kernels::present_levels()) {
    SCOPED_TRACE(enum_name(level));
    const kernels::ScopedLevel scoped(level);
    function();
  }
}

}  // namespace softmoe::test
