#include "checkpoints/convert/reading_notes.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace softmoe {
namespace {

std::string choice_text(const std::string& option, const std::string& value,
                        const std::string& source) {
  return fmt::format("{} {} ({})", option, value, source);
}

std::string flag_text(const std::string& option, const std::string& value) {
  if (value == "true" || value == "false") {
    return fmt::format("--{}{}", value == "true" ? "" : "no-", option);
  }
  return fmt::format("--{} {}", option, value);
}

}  // namespace

void ReadingNotes::choose(const std::string& option, const std::string& value,
                          const std::string& source) {
  choices.push_back(choice_text(option, value, source));
}

void ReadingNotes::assume(const std::string& option, const std::string& value,
                          const std::string& reason) {
  assumed.push_back({option, value, reason});
}

std::string assumed_text(const std::vector<Assumption>& assumed) {
  std::vector<std::pair<std::string, std::string>> groups;  // reason, options
  for (const auto& [option, value, reason] : assumed) {
    auto group = std::find_if(groups.begin(), groups.end(), [&reason = reason](const auto& item) {
      return item.first == reason;
    });
    if (group == groups.end()) {
      group = groups.insert(groups.end(), {reason, ""});
    }
    group->second += (group->second.empty() ? "" : ", ") + flag_text(option, value);
  }
  std::string text;
  for (const auto& [reason, options] : groups) {
    text += fmt::format("{}{} ({})", text.empty() ? "" : "; ", options, reason);
  }
  return text;
}

std::vector<std::string> all_choices(const ReadingNotes& notes) {
  auto all = notes.choices;
  for (const auto& [option, value, reason] : notes.assumed) {
    all.push_back(choice_text(option, value, reason));
  }
  return all;
}

}  // namespace softmoe
