#pragma once
/// Which options may change when a run resumes: those that its result does not depend on, and
/// --epochs and --max-steps, which may grow.

#include <string>

#include "core/json_text.h"

namespace softmoe {

/// Throws UsageError unless a run in `folder` that the command `before` of the program began goes
/// on by the command `now`.
void check_same_command(const std::string& before, const std::string& now,
                        const std::string& folder);

/// Throws UsageError that names the option, unless a run in `folder` that was begun with the
/// options `before` continues with the options `now`, both by name.
void check_resumed_options(const Json& before, const Json& now, const std::string& folder);

}  // namespace softmoe
