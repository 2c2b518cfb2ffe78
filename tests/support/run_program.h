#pragma once
/// Runs the real program, or another one, as a user does.

#include <chrono>
#include <csignal>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace softmoe::test {

/// The surroundings of the program, beside its arguments.
struct ProgramSetting {
  std::string executable = SOFTMOE_PROGRAM;          ///< the program
  std::map<std::string, std::string> environment{};  ///< changes to that of the test
  std::string input{};                               ///< its standard input
  std::string output_file{};  ///< for standard output, such as /dev/full; empty: captured
  /// The maximum size of its files in bytes, like a full disk.
  std::optional<uint64_t> file_size_limit{};
  /// The maximum size of its data in bytes, like a machine with little memory.
  std::optional<uint64_t> memory_limit{};
  /// Sends `signal` once, as soon as this returns true for the text on standard error so far.
  std::function<bool(const std::string& error_text)> interrupt_when{};
  int signal = SIGINT;
  std::chrono::seconds timeout{120};  ///< after this time it is killed
};

/// The end and the output of the program.
struct ProgramRun {
  int exit_code = -1;        ///< 128 + the signal if one ended it
  bool interrupted = false;  ///< true if interrupt_when became true
  std::string output{};
  std::string error{};

  std::vector<std::string> error_lines() const;
};

/// Runs the program to its end.
ProgramRun run_program(const std::vector<std::string>& arguments,
                       const ProgramSetting& setting = {});

}  // namespace softmoe::test
