// Writes what the portable kernels compute, or compares two such files:
//
//   kernel_values FILE               writes all results
//   kernel_values EXPECTED ACTUAL    prints the largest error of each kernel; exit code 1 if one is
//                                    larger than is allowed

#include <cstdio>
#include <exception>
#include <fstream>
#include <stdexcept>

#include "kernels/values/kernel_values.h"

namespace softmoe::kernels {

namespace portable {
const KernelTable& kernel_table();
}  // namespace portable

namespace values {
namespace {

void write_values(const char* path) {
  std::ofstream file(path);
  all_values(portable::kernel_table()).write(file);
  if (!file.flush()) {
    throw std::runtime_error(std::string("could not write ") + path);
  }
}

Results read_values(const char* path) {
  std::ifstream file(path);
  return Results::read(file);
}

const char* name_of(Kind kind) {
  return kind == Kind::kExact ? "exact" : kind == Kind::kSums ? "sums" : "bf16";
}

int compare(const char* expected, const char* actual) {
  int status = 0;
  for (const auto& row : errors_of(read_values(expected), read_values(actual))) {
    std::printf("%-24s%-6s %.1e", row.kernel.c_str(), name_of(row.kind), row.error);
    if (!row.is_allowed()) {
      std::printf("  more than %.0e: %s", tolerance_of(row.kind), row.worst.c_str());
      status = 1;
    }
    std::printf("\n");
  }
  return status;
}

}  // namespace
}  // namespace values
}  // namespace softmoe::kernels

int main(int argc, char** argv) {
  using namespace softmoe::kernels::values;
  try {
    if (argc == 2) {
      write_values(argv[1]);
      return 0;
    }
    if (argc == 3) {
      return compare(argv[1], argv[2]);
    }
    std::fprintf(stderr, "usage: kernel_values FILE | kernel_values EXPECTED ACTUAL\n");
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "kernel_values: %s\n", error.what());
    return 1;
  }
}
