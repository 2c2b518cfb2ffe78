#pragma once
/// Runs of the real program in several processes, and what they come to.

#include <filesystem>
#include <string>
#include <vector>

#include "checkpoints/checkpoint.h"
#include "cli/tiny.h"

namespace softmoe::test {

/// 20 updates whose weights are a continuous function of the gradients, unlike those of AdamW,
/// which makes large steps of gradients that are nothing but rounding.
Words plain_training(const std::filesystem::path& output);

Words launched(int64_t processes, const Words& words);

/// Ctrl-C as soon as the log shows `update`, which is padded as there.
ProgramSetting interrupted_at(const std::string& update);

/// The losses and the last weights of a run.
struct Outcome {
  std::vector<double> losses;
  std::vector<double> norms;
  std::string evaluations;
  Checkpoint last;
};

/// The outcome of the run in `folder`.
Outcome outcome_of(const std::filesystem::path& folder);

/// Losses, gradient norms, weights, averages and evaluations agree within 1e-6.
void expect_same_outcome(const Outcome& actual, const Outcome& expected);

/// Trains with `flags` in one process, and with `of_several` beside them in each of the numbers
/// `processes`: all come to the same outcome.
void expect_same_runs(const Words& flags, const std::vector<int64_t>& processes,
                      const Words& of_several);

}  // namespace softmoe::test
