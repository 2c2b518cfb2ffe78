#pragma once
/// Wordings of instructions: sentences with slots, such as "How many {values} are there?".

#include <map>
#include <string>
#include <vector>

#include "datasets/tasks/task_kinds.h"

namespace softmoe {

/// The names of the slots of `wording`, in their order. Throws InputError for a '{' without its
/// '}'.
std::vector<std::string> slots_of(const std::string& wording);

/// `wording` with `values` in the places of its slots; those without a value stay.
std::string filled_wording(const std::string& wording,
                           const std::map<std::string, std::string>& values);

/// The wordings of `task`, its own or those of `kind`. Throws InputError for a wording that is
/// empty, has a slot that the kind does not fill or lacks one that it needs, and if some wordings
/// name a value and others do not.
std::vector<std::string> wordings_of(const TaskOptions& task, const TaskKindRow& kind);

/// Returns true if `wordings` have {value} or {values}.
bool names_value(const std::vector<std::string>& wordings);

}  // namespace softmoe
