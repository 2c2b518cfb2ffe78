#pragma once
/// Messages of errors that a user can cause.

#include <gtest/gtest.h>

#include <string>

#include "core/error.h"

namespace softmoe::test {

/// The message of the `Error` that `action` throws. The test fails if nothing is thrown, or if the
/// message is not one line.
template <typename Error, typename Action>
std::string error_text(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "no error";
}

template <typename Action>
std::string input_error(const Action& action) {
  return error_text<InputError>(action);
}

template <typename Action>
std::string usage_error(const Action& action) {
  return error_text<UsageError>(action);
}

}  // namespace softmoe::test
