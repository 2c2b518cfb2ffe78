#include "datasets/tasks/task_wording.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "core/error.h"

namespace softmoe {
namespace {

/// Calls `use` with each part of `wording`: a text, or the name of a slot.
template <typename Use>
void for_each_part(const std::string& wording, const Use& use) {
  size_t at = 0;
  while (at < wording.size()) {
    const auto open = std::min(wording.find('{', at), wording.size());
    if (open > at) {
      use(wording.substr(at, open - at), /*is_slot=*/false);
    }
    if (open == wording.size()) {
      return;
    }
    const auto close = wording.find('}', open);
    if (close == std::string::npos) {
      throw InputError("ask", "a '}' behind each '{'", "'" + printable_text(wording) + "'");
    }
    use(wording.substr(open + 1, close - open - 1), /*is_slot=*/true);
    at = close + 1;
  }
}

bool holds(const std::vector<std::string>& slots, std::string_view name) {
  return std::find(slots.begin(), slots.end(), name) != slots.end();
}

bool holds_value(const std::vector<std::string>& slots) {
  return holds(slots, "value") || holds(slots, "values");
}

void check_wording(const std::string& wording, const TaskKindRow& kind) {
  if (wording.find_first_not_of(" \t\n") == std::string::npos) {
    throw InputError("ask", "an instruction in words", "an empty one");
  }
  const auto slots = slots_of(wording);
  std::vector<std::string> known{"{attribute}"};
  for (const auto slot : kind.slots) {
    known.push_back(fmt::format("{{{}}}", slot));
  }
  for (const auto& slot : slots) {
    const auto braced = fmt::format("{{{}}}", slot);
    if (std::find(known.begin(), known.end(), braced) == known.end()) {
      throw InputError("ask", fmt::format("slots among {}", fmt::join(known, ", ")),
                       "'" + printable_text(braced) + "'");
    }
  }
  for (const auto slot : kind.required) {
    if (!(slot == "value" ? holds_value(slots) : holds(slots, slot))) {
      throw InputError("ask", fmt::format("the slot {{{}}} in every wording", slot),
                       "'" + printable_text(wording) + "'");
    }
  }
}

}  // namespace

std::vector<std::string> slots_of(const std::string& wording) {
  std::vector<std::string> slots;
  for_each_part(wording, [&slots](const std::string& part, bool is_slot) {
    if (is_slot) {
      slots.push_back(part);
    }
  });
  return slots;
}

std::string filled_wording(const std::string& wording,
                           const std::map<std::string, std::string>& values) {
  std::string text;
  for_each_part(wording, [&](const std::string& part, bool is_slot) {
    if (!is_slot) {
      text += part;
      return;
    }
    const auto found = values.find(part);
    text += found == values.end() ? "{" + part + "}" : found->second;
  });
  return text;
}

std::vector<std::string> wordings_of(const TaskOptions& task, const TaskKindRow& kind) {
  std::vector<std::string> wordings = task.ask;
  if (wordings.empty()) {
    for (const auto wording : kind.wordings) {
      wordings.emplace_back(wording);
    }
  }
  for (const auto& wording : wordings) {
    check_wording(wording, kind);
    if (holds_value(slots_of(wording)) != names_value(wordings)) {
      throw InputError("ask", "{value} or {values} in all wordings, or in none",
                       "'" + printable_text(wording) + "' beside others");
    }
  }
  return wordings;
}

bool names_value(const std::vector<std::string>& wordings) {
  return !wordings.empty() && holds_value(slots_of(wordings.front()));
}

}  // namespace softmoe
