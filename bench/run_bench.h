#pragma once
/// The frame of the programs that measure.

#include <fmt/format.h>

#include <chrono>
#include <exception>

#include "runtime/machine.h"

namespace softmoe {

inline double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Runs `run` with one thread per core. An error becomes one line that begins with `name`, and the
/// exit status 1.
inline int run_bench(const char* name, int argc, char** argv, int (*run)(int argc, char** argv)) {
  try {
    prepare_process();
    set_compute_threads(0);
    return run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}: {}\n", name, error.what());
    return 1;
  }
}

}  // namespace softmoe
