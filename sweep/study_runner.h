#pragma once
/// Runs each cell of a study in a process.

#include <string>
#include <vector>

#include "sweep/study_plan.h"

namespace softmoe {

/// The cells of both rounds, and the names of those that failed.
struct StudyRun {
  std::vector<StudyCell> cells;
  std::vector<std::string> failed;
};

/// Runs everything that has no result yet: first the preparation, then the cells, then, if the
/// study asks for it, every cell again at equal training time. A cell that fails is named and left
/// out; the others go on. Throws Interrupted on Ctrl-C, after the running cells have saved, and
/// UsageError if a result in the folder has other settings.
StudyRun run_study(const StudyOptions& options);

}  // namespace softmoe
