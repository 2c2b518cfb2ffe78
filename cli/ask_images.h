#pragma once
/// `softmoe predict --ask`: questions about images.

#include <string>
#include <vector>

#include "cli/command_line.h"
#include "inference/prediction_output.h"

namespace softmoe::cli {

/// A question about images of files.
struct AskOptions {
  std::string question;  ///< empty: labels are predicted
  std::string
      answers;  ///< to choose from, joined by commas; empty: those of the checkpoint's tasks

  bool operator==(const AskOptions&) const = default;
};
void describe(OptionTable& table, AskOptions& options);

/// How the answers are computed and shown.
struct AskRequest {
  std::string checkpoint;
  std::string label;
  int64_t topk = 5;
  PredictionFormat format = PredictionFormat::kTable;
  int64_t batch_size = 32;
  int64_t workers = 2;
  std::string amp_dtype = "float32";
};

/// Prints the most probable answers to the question about each image of `paths`, and writes all to
/// `--json`. Throws InputError, or UsageError, for images, checkpoints and answers that do not fit.
void ask_and_print(const CommandLine& line, const AskOptions& options, const AskRequest& request,
                   const std::vector<std::string>& paths);

}  // namespace softmoe::cli
