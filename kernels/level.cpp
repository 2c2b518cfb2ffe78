#include "kernels/level.h"

#include <c10/util/Exception.h>
#ifdef SOFTMOE_WITH_X86
#include <cpuid.h>
#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

#include <algorithm>
#include <atomic>
#include <cstdlib>

#include "core/error.h"
#include "kernels/table.h"

// The build defines SOFTMOE_WITH_X86 if it contains the levels for x86-64.
namespace softmoe::kernels {

namespace portable {
const KernelTable& kernel_table();
}  // namespace portable
#ifdef SOFTMOE_WITH_X86
namespace avx2 {
const KernelTable& kernel_table();
}  // namespace avx2
namespace avx2_vnni {
extern const IntegerProductKernels kIntegerProductKernels;
}  // namespace avx2_vnni
namespace avx512 {
const KernelTable& kernel_table();
}  // namespace avx512
namespace avx512_vnni {
extern const IntegerProductKernels kIntegerProductKernels;
}  // namespace avx512_vnni
namespace avx512_bf16 {
const KernelTable& kernel_table();
}  // namespace avx512_bf16
namespace amx {
const KernelTable& kernel_table();
}  // namespace amx
#endif

namespace {

/// What the code knows of a level.
struct LevelRow {
  Level level;
  bool (*runs_here)();
  const KernelTable& (*table)();
  bool outdoes_libtorch;  ///< in fp32 and bf16
  bool multiplies_bf16;
};

#ifdef SOFTMOE_WITH_X86
bool runs_avx2() {
  return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
}
bool runs_avx512() {
  return runs_avx2() && __builtin_cpu_supports("avx512f") != 0 &&
         __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512vl") != 0 &&
         __builtin_cpu_supports("avx512dq") != 0;
}
bool runs_avx512_vnni() { return runs_avx512() && __builtin_cpu_supports("avx512vnni") != 0; }
bool runs_avx512_bf16() { return runs_avx512_vnni() && __builtin_cpu_supports("avx512bf16") != 0; }
/// AMX-TILE, AMX-BF16 and AMX-INT8, of which gcc 12 does not know names.
bool has_amx() {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  constexpr unsigned kBits = 1U << 22U | 1U << 24U | 1U << 25U;
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (edx & kBits) == kBits;
}
/// Asks Linux, which saves the registers of a process from then on alone.
bool may_use_amx() {
#ifdef __linux__
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

/// Products of integers by VNNI beside the kernels of `base`.
KernelTable with_integer_products(const KernelTable& base, const IntegerProductKernels& products) {
  KernelTable table = base;
  static_cast<IntegerProductKernels&>(table) = products;
  return table;
}
const KernelTable& avx2_vnni_table() {
  static const KernelTable table =
      with_integer_products(avx2::kernel_table(), avx2_vnni::kIntegerProductKernels);
  return table;
}
const KernelTable& avx512_vnni_table() {
  static const KernelTable table =
      with_integer_products(avx512::kernel_table(), avx512_vnni::kIntegerProductKernels);
  return table;
}
#endif

const LevelRow kLevels[] = {
    {Level::kPortable, [] { return true; }, portable::kernel_table, false, false},
#ifdef SOFTMOE_WITH_X86
    {Level::kAvx2, runs_avx2, avx2::kernel_table, true, false},
    {Level::kAvx2Vnni, [] { return runs_avx2() && __builtin_cpu_supports("avxvnni") != 0; },
     avx2_vnni_table, true, false},
    {Level::kAvx512, runs_avx512, avx512::kernel_table, true, false},
    {Level::kAvx512Vnni, runs_avx512_vnni, avx512_vnni_table, true, false},
    {Level::kAvx512Bf16, runs_avx512_bf16, avx512_bf16::kernel_table, true, true},
    {Level::kAmx, [] { return runs_avx512_bf16() && has_amx() && may_use_amx(); },
     amx::kernel_table, true, true},
#endif
};

const LevelRow& row_of(Level level) {
  return *std::find_if(std::begin(kLevels), std::end(kLevels),
                       [level](const LevelRow& row) { return row.level == level; });
}

std::atomic<Level>& current_level() {
  static std::atomic<Level> current{[] {
    const char* const wanted = std::getenv("SOFTMOE_ISA");
    return chosen_level(wanted != nullptr ? wanted : "", present_levels());
  }()};
  return current;
}

bool is_among(const std::vector<Level>& levels, Level level) {
  return std::find(levels.begin(), levels.end(), level) != levels.end();
}

std::string names_of(const std::vector<Level>& levels) {
  std::string names;
  for (const Level level : levels) {
    names += (names.empty() ? "" : ", ") + enum_name(level);
  }
  return names;
}

}  // namespace

const std::vector<Level>& present_levels() {
  static const std::vector<Level> present = [] {
    std::vector<Level> levels;
    for (const LevelRow& row : kLevels) {
      if (row.runs_here()) {
        levels.push_back(row.level);
      }
    }
    return levels;
  }();
  return present;
}

Level highest_level() { return present_levels().back(); }

Level chosen_level(std::string_view wanted, const std::vector<Level>& present) {
  if (wanted.empty()) {
    return present.back();
  }
  const auto named = enum_value<Level>(wanted);
  if (named && is_among(present, *named)) {
    return *named;
  }
  throw UsageError("SOFTMOE_ISA", "one of " + names_of(present) + ", which this processor runs",
                   "'" + printable_text(wanted) + "'");
}

Level level() { return current_level(); }

bool has(Need need) {
  const LevelRow& row = row_of(level());
  return need == Need::kBf16Products ? row.multiplies_bf16 : row.outdoes_libtorch;
}

const KernelTable& table_of(Level level) { return row_of(level).table(); }

ScopedLevel::ScopedLevel(Level level) : previous_(kernels::level()) {
  TORCH_CHECK_VALUE(is_among(present_levels(), level), "ScopedLevel: this processor runs ",
                    names_of(present_levels()), ", found ", enum_name(level));
  current_level() = level;
}

ScopedLevel::~ScopedLevel() { current_level() = previous_; }

}  // namespace softmoe::kernels
