#pragma once
/// The real program, and others beside it, run as a user runs them.

#include <chrono>
#include <csignal>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace softmoe::test {

/// What the program gets beside its arguments.
struct ProgramSetting {
  std::string executable = SOFTMOE_PROGRAM;          ///< the program
  std::map<std::string, std::string> environment{};  ///< over that of the test
  std::string input{};                               ///< on its standard input
  std::string output_file{};  ///< takes standard output, such as /dev/full; empty: captured
  /// No file may grow above this many bytes: a disk that fills up.
  std::optional<uint64_t> file_size_limit{};
  /// The program may not have more bytes of data than this: a machine of little memory.
  std::optional<uint64_t> memory_limit{};
  /// Sends `signal` once, as soon as this is true of what stands on standard error; asked often.
  std::function<bool(const std::string& error_text)> interrupt_when{};
  int signal = SIGINT;
  std::chrono::seconds timeout{120};  ///< then it is killed
};

/// How it ended and what it said.
struct ProgramRun {
  int exit_code = -1;        ///< 128 + the signal where one ended it
  bool interrupted = false;  ///< whether interrupt_when became true
  std::string output{};
  std::string error{};

  std::vector<std::string> error_lines() const;
};

/// Runs the program to its end.
ProgramRun run_program(const std::vector<std::string>& arguments,
                       const ProgramSetting& setting = {});

/// The lines of `text` without their line breaks.
std::vector<std::string> lines_of(const std::string& text);

}  // namespace softmoe::test
