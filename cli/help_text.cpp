#include "cli/help_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <map>
#include <sstream>

namespace softmoe::cli {
namespace {

constexpr size_t kColumn = 32;         // where meanings begin
constexpr size_t kDefaultWidth = 100;  // without a terminal
constexpr size_t kMinWidth = 60;       // a narrower terminal breaks the lines by itself
constexpr size_t kMaxWidth = 120;      // longer lines are hard to read
constexpr double kAlmostZero = 1e-6;   // a minimum up to this stands for "above 0"

/// Returns true if the unit of a text says what the text names: a file, a folder.
bool names_a_place(const OptionField& field) {
  const auto& unit = field.limits().unit;
  return unit == "file" || unit == "folder" || unit == "path";
}

/// What stands for the value: "INT", "FILE", "INT ...".
std::string placeholder(const OptionField& field) {
  if (field.is_flag()) {
    return "";
  }
  std::string text = names_a_place(field)              ? field.limits().unit
                     : !field.limits().choices.empty() ? "name"
                                                       : field.item_type();
  std::transform(text.begin(), text.end(), text.begin(), ::toupper);
  return " " + text + (field.is_list() ? " ..." : "");
}

std::string range_text(const OptionLimits& limits) {
  const bool has_min = std::isfinite(limits.min);
  const bool has_max = std::isfinite(limits.max);
  if (has_min && has_max) {
    return fmt::format("{:g} to {:g}", limits.min, limits.max);
  }
  if (has_min && limits.min > 0 && limits.min <= kAlmostZero) {
    return "above 0";
  }
  // Readers expect counts to be at least 0 or 1 without being told.
  const bool is_expected = limits.min == 0 || limits.min == 1;
  if (has_min && !is_expected) {
    return fmt::format("at least {:g}", limits.min);
  }
  return has_max ? fmt::format("at most {:g}", limits.max) : "";
}

std::string allowed_text(const OptionField& field) {
  const auto& limits = field.limits();
  const auto text = limits.choices.empty() ? range_text(limits) : field.allowed();
  return text.empty() ? "" : " (" + text + ")";
}

/// "1 image", "8 images"; an abbreviation such as "s" stays as it is.
std::string amount(const std::string& value, std::string unit) {
  if (value == "1" && unit.size() > 2 && unit.ends_with("s")) {
    unit.resize(unit.size() - (unit.ends_with("ches") ? 2 : 1));
  }
  return unit.empty() ? value : value + " " + unit;
}

/// The default with its unit in brackets.
std::string default_text(const OptionField& field, bool has_default) {
  const auto& limits = field.limits();
  const auto unit = names_a_place(field) ? "" : limits.unit;
  if (!limits.follows.empty() && has_default) {
    return " [" + limits.follows + "]";
  }
  auto value = field.is_flag() ? (field.text() == "true" ? "on" : "off") : field.text();
  if (value.empty() || !has_default) {
    return unit.empty() ? "" : " [" + unit + "]";
  }
  return " [" + amount(value, unit) + "]";
}

/// Appends `text` broken into lines that begin at `column`; the first line continues the last line
/// of the page, which is `written` characters long.
void append_wrapped(std::string& page, const std::string& text, size_t written, size_t column,
                    size_t width) {
  if (written + 2 > column && written > 0) {
    page += "\n";
    written = 0;
  }
  page.append(column - written, ' ');
  size_t place = column;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (place > column && place + 1 + word.size() > width) {
      page += "\n" + std::string(column, ' ');
      place = column;
    }
    page += (place > column ? " " : "") + word;
    place += (place > column ? 1 : 0) + word.size();
  }
  page += "\n";
}

void append_entry(std::string& page, const std::string& left, const std::string& right,
                  size_t width) {
  page += "  " + left;
  append_wrapped(page, right, left.size() + 2, kColumn, width);
}

std::string description(const OptionField& field, bool has_default) {
  return field.meaning() + allowed_text(field) + default_text(field, has_default);
}

bool is_operand(const PlainArguments& plain, const std::string& option) {
  return std::any_of(
      plain.operands.begin(), plain.operands.end(),
      [&option](const PositionalOption& operand) { return operand.option == option; });
}

void append_group(std::string& text, const OptionGroup& group, const PlainArguments& plain,
                  size_t width) {
  text += "\n" + group.title + ":\n";
  for (const auto& field : group.table.fields()) {
    append_entry(text, fmt::format("{}", fmt::join(flag_names(field), ", ")) + placeholder(field),
                 is_operand(plain, field.name()) ? operand_name(field.name()) + ", given by a flag"
                                                 : description(field, !group.is_derived),
                 width);
  }
}

std::string usage_text(const HelpPage& page) {
  std::string text = "usage: softmoe " + page.command;
  for (const auto& operand : page.plain.operands) {
    auto name = operand_name(operand.option);
    if (const auto* field = find_option(page.groups, operand.option);
        field != nullptr && field->is_list()) {
      name += " ...";
    }
    text += operand.required ? " " + name : " [" + name + "]";
  }
  if (page.plain.names) {
    text += " [" + page.plain.names->name + " ...]";
  }
  return text + " [OPTIONS]\n\n";
}

void append_plain_arguments(std::string& text, const HelpPage& page, size_t width) {
  for (const auto& operand : page.plain.operands) {
    if (const auto* field = find_option(page.groups, operand.option)) {
      append_entry(text, operand_name(operand.option), description(*field, /*has_default=*/true),
                   width);
    }
  }
  if (page.plain.names) {
    append_entry(text, page.plain.names->name, page.plain.names->meaning, width);
  }
  text += page.plain.empty() ? "" : "\n";
}

bool has_lists(const HelpPage& page) {
  for (const auto& group : page.groups) {
    for (const auto& field : group.table.fields()) {
      if (field.is_list()) {
        return true;
      }
    }
  }
  return false;
}

}  // namespace

std::string operand_name(const std::string& option) {
  std::string name = option;
  std::transform(name.begin(), name.end(), name.begin(), ::toupper);
  return name;
}

const OptionField* find_option(const std::vector<OptionGroup>& groups, const std::string& name) {
  for (const auto& group : groups) {
    if (const auto* field = group.table.find(name)) {
      return field;
    }
  }
  return nullptr;
}

std::vector<std::string> option_names(const std::vector<OptionGroup>& groups) {
  std::vector<std::string> names;
  for (const auto& group : groups) {
    for (const auto& field : group.table.fields()) {
      names.push_back(field.name());
    }
  }
  return names;
}

std::vector<std::string> flag_names(const OptionField& field) {
  // timm's short names for frequent options, and a short form that scripts use.
  static const std::map<std::string, std::string> others{
      {"batch-size", "-b"}, {"workers", "-j"}, {"num-classes", "--classes"}};
  std::vector<std::string> names{"--" + field.name()};
  if (const auto other = others.find(field.name()); other != others.end()) {
    names.insert(other->second.starts_with("--") ? names.end() : names.begin(), other->second);
  }
  if (field.is_flag()) {
    names.push_back("--no-" + field.name());
  }
  return names;
}

std::string help_text(const HelpPage& page, size_t width) {
  std::string text = usage_text(page);
  append_wrapped(text, page.summary, 0, 0, width);
  text += "\n";
  append_plain_arguments(text, page, width);
  append_wrapped(text,
                 std::string("Defaults and units are in [brackets].") +
                     (has_lists(page) ? " Lists (...) are written as 1 5 or 1,5." : ""),
                 0, 0, width);
  // The first group, what every command takes, is shown last.
  for (size_t i = 1; i <= page.groups.size(); ++i) {
    append_group(text, page.groups[i % page.groups.size()], page.plain, width);
  }
  append_entry(text, "-c, --config FILE", "read options from a TOML file; flags override it",
               width);
  append_entry(text, "-h, --help", "show this help", width);
  return text;
}

size_t help_width() {
  winsize size{};
  if (::isatty(STDOUT_FILENO) == 0 || ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 ||
      size.ws_col == 0) {
    return kDefaultWidth;
  }
  return std::clamp<size_t>(size.ws_col, kMinWidth, kMaxWidth);
}

}  // namespace softmoe::cli
