#pragma once
/// Errors that a user can cause. Misuse by calling code is TORCH_CHECK_VALUE, and a bug of softmoe
/// is TORCH_INTERNAL_ASSERT; libraries never print or exit, only `main` turns errors into one line.

#include <stdexcept>
#include <string>
#include <string_view>

namespace softmoe {

/// Input from outside the program is bad: a file, a field of it, a value, the disk it is on.
/// The message is one line: where, what is allowed, what was found.
class InputError : public std::runtime_error {
 public:
  explicit InputError(const std::string& message) : std::runtime_error(message) {}
  InputError(const std::string& where, const std::string& expected, const std::string& found)
      : std::runtime_error(where + ": expected " + expected + ", found " + found) {}
};

/// The command line or a config file asks for what does not exist; the program exits with 2.
class UsageError : public InputError {
 public:
  using InputError::InputError;
};

/// The user interrupted a long command, which has saved its state; the program exits with 130.
class Interrupted : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The system's text for an errno value, such as "No space left on device".
std::string system_error_text(int error_number);

/// `message` as one line: line breaks become "; " and libtorch's back traces are cut off.
std::string single_line(const std::string& message);

/// `text` from outside for a message of one line: control characters become '?', and all beyond
/// `limit` bytes is cut off.
std::string printable_text(std::string_view text, size_t limit = 200);

/// `text` for a terminal, of any length: control characters become '?', and what breaks lines or
/// turns the direction of text. Names of files, classes and tensors may hold what moves the cursor
/// or changes colours.
std::string terminal_text(std::string_view text);

}  // namespace softmoe
