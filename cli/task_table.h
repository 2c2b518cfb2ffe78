#pragma once
/// Results of tasks as tables.

#include <string>

#include "eval/task_evaluation.h"

namespace softmoe::cli {

/// Accuracy by task and by family, each beside the accuracy of chance.
std::string task_table(const TaskEvaluation& evaluation);

}  // namespace softmoe::cli
