#pragma once
/// The fixture of all kernel tests: each runs on every level that the processor has.

#include <optional>

#include "kernels/plain.h"
#include "kernels/table.h"

namespace softmoe::kernels {

inline auto every_level() { return testing::ValuesIn(present_levels()); }
inline std::string level_name(const testing::TestParamInfo<Level>& item) {
  return enum_name(item.param);
}

/// Runs the kernels of its parameter.
class KernelTest : public testing::TestWithParam<Level> {
 protected:
  void SetUp() override { level_.emplace(GetParam()); }

 private:
  std::optional<ScopedLevel> level_;
};

}  // namespace softmoe::kernels
