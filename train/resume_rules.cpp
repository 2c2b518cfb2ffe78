#include "train/resume_rules.h"

#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "core/duration.h"
#include "core/error.h"
#include "core/shell_word.h"

namespace softmoe {
namespace {

/// Returns true for options that no result depends on. The images behind --data-dir are compared by
/// themselves (data_identity.h), and so are teachers (--teacher-digest), which may have been moved.
bool may_change(const std::string& name) {
  static const std::set<std::string> names{"checkpoint-hist", "checkpoint-interval",
                                           "data-dir",        "device",
                                           "experiment",      "expert-parallel",
                                           "fit-memory",      "grad-checkpointing",
                                           "idle-steps",      "json",
                                           "on-nan",          "max-bad-images",
                                           "output",          "prefetch",
                                           "profile",         "teacher",
                                           "teacher-outputs", "threads",
                                           "workers"};
  return names.contains(name);
}

/// Returns true if both are names of one file: "a/b.h5" and "./a//b.h5".
bool is_same_path(const Json& before, const Json& now) {
  if (!before.is_string() || !now.is_string() || before == "" || now == "") {
    return false;
  }
  const auto canonical = [](const Json& text) {
    std::error_code error;
    const auto absolute = std::filesystem::absolute(text.get<std::string>(), error);
    const auto path = std::filesystem::weakly_canonical(absolute, error);
    return (path.has_filename() ? path : path.parent_path()).string();
  };
  return canonical(before) == canonical(now);
}

/// Returns true for options that say when a run ends.
bool is_length(const std::string& name) {
  static const std::set<std::string> names{"epochs", "max-examples", "max-steps", "max-time",
                                           "patience"};
  return names.contains(name);
}

/// Returns true if `value` of a length means that it does not end the run.
bool is_no_limit(const std::string& name, const Json& value) {
  return is_length(name) && name != "epochs" && value == 0;
}

/// Returns true if the run only becomes longer.
bool is_longer(const std::string& name, const Json& before, const Json& now) {
  if (name == "max-time") {
    const auto old = parse_duration(before.get<std::string>()).value();
    return old.seconds > 0.0 && parse_duration(now.get<std::string>()).value() > old;
  }
  return is_no_limit(name, now) || (is_length(name) && before != 0 && now > before);
}

/// A value in a message.
std::string value_text(const std::string& name, const Json& value) {
  return is_no_limit(name, value) ? "no limit" : json_text(value);
}

/// The option as a user would type it: `--lr 0.001`, `--no-bias`, `--moe-blocks ''`.
std::string as_flag(const std::string& name, const Json& value) {
  if (value.is_boolean()) {
    return (value.get<bool>() ? "--" : "--no-") + name;
  }
  std::string text = "--" + name;
  for (const auto& item : value.is_array() ? value : Json::array({value})) {
    text += " " + shell_word(item.is_string() ? item.get<std::string>() : json_text(item));
  }
  return text;
}

}  // namespace

void check_same_command(const std::string& before, const std::string& now,
                        const std::string& folder) {
  if (before != now) {
    throw UsageError(fmt::format(
        "softmoe {}: the run in {} is one of softmoe {}; another --experiment begins another run",
        now, folder, before));
  }
}

void check_resumed_options(const Json& before, const Json& now, const std::string& folder) {
  for (const auto& [name, value] : now.items()) {
    if (may_change(name) || !before.contains(name)) {
      continue;
    }
    const auto& old = before.at(name);
    if (old == value || is_same_path(old, value) || is_longer(name, old, value)) {
      continue;
    }
    throw UsageError(fmt::format(
        "--{}: the run in {} has {}, now it is {}{}; {} resumes it, another --experiment begins "
        "another run",
        name, folder, value_text(name, old), value_text(name, value),
        is_length(name) ? ", and a run may only become longer" : "", as_flag(name, old)));
  }
}

}  // namespace softmoe
