/// Feeds damaged files to the reader of a format until time is up.
///
///   fuzz_formats FORMAT [--seconds N] [--seed N] [--memory-mb N]
///   fuzz_formats FORMAT --seed N --iteration N     one input again, kept in the current folder
///   fuzz_formats FORMAT --corpus FOLDER            writes the seeds there, for libFuzzer
///   fuzz_formats FORMAT --input FILE               one input of libFuzzer
///   fuzz_formats --list
///
/// It begins with the inputs in tests/fuzz/findings/FORMAT, each of which was mishandled once.
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
#include <sstream>
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

// Address sanitizer, which maps terabytes itself, as gcc and clang say it.
#if defined(__SANITIZE_ADDRESS__)
#define SOFTMOE_ADDRESS_SANITIZER
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SOFTMOE_ADDRESS_SANITIZER
#endif
#endif

/// Allows `bytes` more than is mapped now.
void limit_memory(uint64_t bytes) {
#ifndef SOFTMOE_ADDRESS_SANITIZER
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
  std::string corpus;  ///< a folder to write; none if empty
  std::string input;   ///< a file to read; none if empty
  std::map<std::string, uint64_t> numbers{{"--seconds", 60}, {"--seed", 1}, {"--memory-mb", 512}};
};

Settings parse_arguments(const std::vector<std::string>& arguments) {
  Settings settings;
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (!arguments[i].starts_with("--")) {
      settings.format = arguments[i];
    } else if (i + 1 < arguments.size()) {
      const auto& value = arguments[i + 1];
      if (arguments[i] == "--corpus") {
        settings.corpus = value;
      } else if (arguments[i] == "--input") {
        settings.input = value;
      } else {
        settings.numbers[arguments[i]] = std::stoull(value);
      }
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

/// Writes each seed as libFuzzer's inputs are: a byte that chooses the layer, then the input.
void write_corpus(const Format& format, const fs::path& folder) {
  for (size_t layer = 0; layer < format.layers.size(); ++layer) {
    const auto seeds = format.layers[layer].seeds();
    for (size_t i = 0; i < seeds.size(); ++i) {
      const std::string name = "seed_" + std::to_string(layer) + "_" + std::to_string(i);
      std::ofstream(folder / name, std::ios::binary) << static_cast<char>(layer) << seeds[i];
    }
  }
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
        // What this throws names a seed that is refused.
        layer.write(input, folder_.path() / format_.file);
        format_.read(folder_.path() / format_.file);
      }
    }
  }

  void step(uint64_t iteration) {
    announce("--seed " + std::to_string(seed_) + " --iteration " + std::to_string(iteration));
    const auto [layer, input] = make_input(format_, seeds_, seed_, iteration);
    read(*layer, input);
  }

  /// Reads an input of libFuzzer.
  void read_file(const fs::path& path) {
    announce("--input " + path.string());
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    const std::string input = text.str();
    if (input.empty()) {
      throw std::runtime_error("the input cannot be read");
    }
    read(chosen_layer(format_, input.front()), input.substr(1));
  }

  /// Reads the inputs that were mishandled once.
  void read_findings() {
    const fs::path folder = fs::path(SOFTMOE_FINDINGS) / format_.name;
    if (fs::exists(folder)) {
      for (const auto& entry : fs::directory_iterator(folder)) {
        read_file(entry.path());
      }
    }
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
  /// Says in a crash how to get the input again.
  void announce(const std::string& arguments) {
    std::snprintf(last_words.data(), last_words.size(), "fuzz_formats %s %s",
                  std::string(format_.name).c_str(), arguments.c_str());
  }

  void read(const Layer& layer, const std::string& input) {
    ::alarm(kHangSeconds);
    const Outcome outcome = try_input(format_, layer, input, folder_.path());
    ::alarm(0);
    (outcome == Outcome::kAccepted ? counts_.accepted : counts_.refused) += 1;
  }

  const Format& format_;
  uint64_t seed_;
  test::TemporaryFolder folder_;
  std::vector<std::vector<std::string>> seeds_;
  Counts counts_;
};

int run_format(const Format& format, const Settings& settings) {
  using Clock = std::chrono::steady_clock;
  if (!settings.corpus.empty()) {
    write_corpus(format, settings.corpus);
    return 0;
  }
  const uint64_t seed = settings.numbers.at("--seed");
  Run run(format, seed);
  watch_crashes();
  limit_memory(settings.numbers.at("--memory-mb") << 20);
  const auto again = settings.numbers.find("--iteration");
  if (again != settings.numbers.end()) {
    run.repeat(again->second);
  } else if (!settings.input.empty()) {
    run.read_file(settings.input);
  } else {
    run.read_findings();
    const auto end = Clock::now() + std::chrono::seconds(settings.numbers.at("--seconds"));
    for (uint64_t iteration = 0; Clock::now() < end; ++iteration) {
      run.step(iteration);
    }
  }
  std::cout << format.name << ": " << run.counts().total() << " inputs, " << run.counts().accepted
            << " accepted, " << run.counts().refused << " refused, seed " << seed << "\n";
  // Damage must have been met, and some inputs must have got through to the tensors.
  const bool is_one_input = again != settings.numbers.end() || !settings.input.empty();
  return run.counts().refused > 0 || is_one_input ? 0 : 1;
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
