#pragma once
/// Small models, runs and images for tests of the whole program.

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/options.h"
#include "support/run_program.h"

namespace softmoe::test {

using Words = std::vector<std::string>;

/// `words` followed by `more`.
Words operator+(Words words, const Words& more);

/// Flags of a tiny Soft MoE model for the embedded digits.
Words tiny_model_flags();
/// `softmoe train` of that model on the digits, some 50 quick updates, into `output`/run.
Words tiny_training(const std::filesystem::path& output);

/// A checkpoint of a tiny model with random weights: 8x8 px, one channel, ten classes, the digits
/// unless `class_names` says otherwise, MoE layers with `router` in blocks 1 and 2.
void write_tiny_checkpoint(const std::filesystem::path& path,
                           const Words& class_names = {"0", "1", "2", "3", "4", "5", "6", "7", "8",
                                                       "9"},
                           const std::string& router = "soft");

/// A PNG file of random pixels, 3 channels, drawn from `seed`.
void write_random_png(const std::filesystem::path& path, int height, int width, uint64_t seed);

/// `count` of the embedded digits as PNG files "0-<digit>.png", "1-<digit>.png", ...
void write_digit_files(const std::filesystem::path& folder, int64_t count);

/// What a --json file holds.
Json read_json(const std::filesystem::path& path);

/// The exit code is `exit_code` and standard error is one line that holds each of `parts`.
testing::AssertionResult fails_with_one_line(const ProgramRun& run, int exit_code,
                                             const Words& parts);
/// The exit code is `exit_code`, and the last line of standard error, the only one that is an
/// error, holds each of `parts`.
testing::AssertionResult ends_with_one_error(const ProgramRun& run, int exit_code,
                                             const Words& parts);
/// The exit code is 0.
testing::AssertionResult succeeds(const ProgramRun& run);

/// Two run folders have the same records and, bit for bit, the same last and best checkpoints.
void expect_same_run(const std::filesystem::path& actual, const std::filesystem::path& expected);

}  // namespace softmoe::test
