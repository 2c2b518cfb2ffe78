#pragma once
/// softmoe's side of bench/peers/compare.py, where contenders take turns.

#include <chrono>
#include <iostream>
#include <string>

#include "bench/run_bench.h"
#include "core/options.h"

namespace softmoe {

/// Writes one line of JSON.
inline void say(const Json& line) { std::cout << line.dump() << std::endl; }

/// Answers each line "go SECONDS" of standard input with the images per second of whole batches for
/// at least that time; run() takes one batch of `batch` images.
template <typename Run>
void take_turns(int64_t batch, const Run& run) {
  std::string go;
  double seconds = 0.0;
  while (std::cin >> go >> seconds) {
    const auto start = std::chrono::steady_clock::now();
    int64_t images = 0;
    double elapsed = 0.0;
    do {
      run();
      images += batch;
      elapsed = seconds_since(start);
    } while (elapsed < seconds);
    say(static_cast<double>(images) / elapsed);
  }
}

}  // namespace softmoe
