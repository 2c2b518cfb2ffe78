/// Feeds damaged files to the reader of a format until time is up.
///
///   fuzz_formats FORMAT [--seconds N] [--seed N] [--memory-mb N]
///   fuzz_formats FORMAT --seed N --iteration N     one input again, kept in the current folder
///   fuzz_formats --list
///
/// An input may be accepted or refused by InputError. A crash, another error, more memory than the
/// limit or more than 20 seconds end the program with 1 and say how to get the input again: inputs
/// depend on the seed and their number alone.

#include <ATen/Parallel.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <stdexcept>

#include "fuzz/formats.h"
#include "fuzz/mutation.h"
#include "support/temporary_folder.h"

namespace softmoe::fuzz {
namespace {

namespace fs = std::filesystem;

constexpr unsigned kHangSeconds = 20;

/// The message of the handler of signals, which is all that a crash leaves.
std::array<char, 256> last_words{};

void say_last_words(int signal_number) {
  const char* what = signal_number == SIGALRM ? "took too long" : "crashed";
  std::array<char, 320> text{};
  const int length = std::snprintf(text.data(), text.size(), "%s: %s\n", last_words.data(), what);
  static_cast<void>(!::write(STDERR_FILENO, text.data(), static_cast<size_t>(length)));
  ::_exit(1);
}

/// Handlers on a stack of their own: an overflow of the other one is a crash to report too.
void watch_crashes() {
  static std::array<char, 64 * 1024> stack;
  const stack_t alternative{.ss_sp = stack.data(), .ss_flags = 0, .ss_size = stack.size()};
  ::sigaltstack(&alternative, nullptr);
  struct sigaction action {};
  action.sa_handler = say_last_words;
  action.sa_flags = SA_ONSTACK;
  for (const int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGALRM}) {
    ::sigaction(number, &action, nullptr);
  }
}

/// Allows `bytes` more than is mapped now.
void limit_memory(uint64_t bytes) {
#ifndef __SANITIZE_ADDRESS__  // which maps terabytes itself
  uint64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  const rlim_t total = pages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)) + bytes;
  const rlimit limit{.rlim_cur = total, .rlim_max = total};
  ::setrlimit(RLIMIT_AS, &limit);
#else
  static_cast<void>(bytes);
#endif
}

struct Settings {
  std::string format;
  std::map<std::string, uint64_t> numbers{{"--seconds", 60}, {"--seed", 1}, {"--memory-mb", 512}};
};

Settings parse_arguments(const std::vector<std::string>& arguments) {
  Settings settings;
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (!arguments[i].starts_with("--")) {
      settings.format = arguments[i];
    } else if (i + 1 < arguments.size()) {
      settings.numbers[arguments[i]] = std::stoull(arguments[i + 1]);
      ++i;
    }
  }
  return settings;
}

/// The input of a number: its layer and its bytes.
std::pair<const Layer*, std::string> make_input(const Format& format,
                                                const std::vector<std::vector<std::string>>& seeds,
                                                uint64_t seed, uint64_t iteration) {
  Rng rng(stream_key(seed, format.name, /*epoch=*/0, iteration));
  const auto layer = static_cast<size_t>(rng.below(static_cast<int64_t>(format.layers.size())));
  return {&format.layers[layer], mutate(seeds[layer], rng)};
}

/// Counts of one run.
struct Counts {
  uint64_t accepted = 0;
  uint64_t refused = 0;
  uint64_t total() const { return accepted + refused; }
};

class Run {
 public:
  Run(const Format& format, uint64_t seed) : format_(format), seed_(seed) {
    format_.prepare(folder_.path());
    for (const auto& layer : format_.layers) {
      seeds_.push_back(layer.seeds());
      for (const auto& input : seeds_.back()) {
        if (try_input(format_, layer, input, folder_.path()) != Outcome::kAccepted) {
          throw std::runtime_error("a seed of " + std::string(format_.name) + " is refused");
        }
      }
    }
  }

  void step(uint64_t iteration) {
    std::snprintf(last_words.data(), last_words.size(),
                  "fuzz_formats %s --seed %llu --iteration %llu", std::string(format_.name).c_str(),
                  static_cast<unsigned long long>(seed_),
                  static_cast<unsigned long long>(iteration));
    ::alarm(kHangSeconds);
    const auto [layer, input] = make_input(format_, seeds_, seed_, iteration);
    const Outcome outcome = try_input(format_, *layer, input, folder_.path());
    ::alarm(0);
    (outcome == Outcome::kAccepted ? counts_.accepted : counts_.refused) += 1;
  }

  /// Writes an input to the current folder and reads it.
  void repeat(uint64_t iteration) {
    const auto [layer, input] = make_input(format_, seeds_, seed_, iteration);
    const std::string kept = "fuzz_" + std::string(format_.file);
    layer->write(input, kept);
    std::cout << "the input is in " << kept << "\n";
    step(iteration);
  }

  const Counts& counts() const { return counts_; }

 private:
  const Format& format_;
  uint64_t seed_;
  test::TemporaryFolder folder_;
  std::vector<std::vector<std::string>> seeds_;
  Counts counts_;
};

int run_format(const Format& format, const Settings& settings) {
  using Clock = std::chrono::steady_clock;
  const uint64_t seed = settings.numbers.at("--seed");
  Run run(format, seed);
  watch_crashes();
  limit_memory(settings.numbers.at("--memory-mb") << 20);
  const auto again = settings.numbers.find("--iteration");
  if (again != settings.numbers.end()) {
    run.repeat(again->second);
  } else {
    const auto end = Clock::now() + std::chrono::seconds(settings.numbers.at("--seconds"));
    for (uint64_t iteration = 0; Clock::now() < end; ++iteration) {
      run.step(iteration);
    }
  }
  std::cout << format.name << ": " << run.counts().total() << " inputs, " << run.counts().accepted
            << " accepted, " << run.counts().refused << " refused, seed " << seed << "\n";
  // Damage must have been met, and some inputs must have got through to the tensors.
  return run.counts().refused > 0 || again != settings.numbers.end() ? 0 : 1;
}

int main_of(const std::vector<std::string>& arguments) {
  if (arguments == std::vector<std::string>{"--list"}) {
    for (const auto& format : formats()) {
      std::cout << format.name << "\n";
    }
    return 0;
  }
  try {
    const Settings settings = parse_arguments(arguments);
    const Format* format = find_format(settings.format);
    if (format == nullptr) {
      std::cerr << "fuzz_formats: no format '" << settings.format << "'; see --list\n";
      return 2;
    }
    return run_format(*format, settings);
  } catch (const std::exception& error) {
    std::cerr << last_words.data() << ": " << error.what() << "\n";
    return 1;
  }
}

}  // namespace
}  // namespace softmoe::fuzz

int main(int argc, char** argv) {
  // A file system would write every input to its disk: ten times fewer inputs.
  if (std::filesystem::exists("/dev/shm")) {
    ::setenv("TMPDIR", "/dev/shm", /*overwrite=*/0);
  }
  at::set_num_threads(1);
  return softmoe::fuzz::main_of({argv + 1, argv + argc});
}
