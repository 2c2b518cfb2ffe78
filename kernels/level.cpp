#include "kernels/level.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>

#include "core/error.h"

namespace softmoe::kernels {
namespace {

bool has_avx512_bf16() {
#ifdef SOFTMOE_WITH_AVX512
  return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
         __builtin_cpu_supports("avx512vl") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
         __builtin_cpu_supports("avx512bf16") != 0;
#else
  return false;
#endif
}

bool has_avx512_vnni() {
#ifdef SOFTMOE_WITH_AVX512
  static const bool present = __builtin_cpu_supports("avx512vnni") != 0;
  return present;
#else
  return false;
#endif
}

std::vector<Level> levels_up_to(Level highest) {
  std::vector<Level> levels;
  for (const auto& [candidate, name] : kEnumNames<Level>) {
    if (candidate <= highest) {
      levels.push_back(candidate);
    }
  }
  return levels;
}

std::atomic<Level>& current_level() {
  static std::atomic<Level> current{[] {
    const char* const wanted = std::getenv("SOFTMOE_ISA");
    return allowed_level(wanted != nullptr ? wanted : "", highest_level());
  }()};
  return current;
}

}  // namespace

Level highest_level() {
  static const Level highest = has_avx512_bf16() ? Level::kAvx512Bf16 : Level::kPortable;
  return highest;
}

std::vector<Level> present_levels() { return levels_up_to(highest_level()); }

Level allowed_level(std::string_view wanted, Level highest) {
  if (wanted.empty()) {
    return highest;
  }
  const auto named = enum_value<Level>(wanted);
  if (named && *named <= highest) {
    return *named;
  }
  std::string allowed;
  for (const Level candidate : levels_up_to(highest)) {
    allowed += (allowed.empty() ? "" : ", ") + enum_name(candidate);
  }
  throw UsageError("SOFTMOE_ISA", "one of " + allowed + ", which this processor runs",
                   "'" + printable_text(wanted) + "'");
}

Level level() { return current_level(); }

bool has(Need need) {
  return level() == Level::kAvx512Bf16 && (need != Need::kInt8Products || has_avx512_vnni());
}

ScopedLevel::ScopedLevel(Level level) : previous_(kernels::level()) {
  TORCH_CHECK_VALUE(level <= highest_level(), "ScopedLevel: this processor runs levels up to ",
                    enum_name(highest_level()), ", found ", enum_name(level));
  current_level() = level;
}

ScopedLevel::~ScopedLevel() { current_level() = previous_; }

}  // namespace softmoe::kernels
