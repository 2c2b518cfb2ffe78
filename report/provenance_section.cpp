#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "core/shell_word.h"
#include "core/text_format.h"
#include "report/number_text.h"
#include "report/sections.h"
#include "report/svg_parts.h"

namespace softmoe::report {
namespace {

std::string value_text(const Json& value) {
  if (value.is_string()) {
    return value.get<std::string>();
  }
  if (value.is_array()) {
    std::string text;
    for (const auto& item : value) {
      text += (text.empty() ? "" : " ") + value_text(item);
    }
    return text;
  }
  return value.dump();
}

/// The command of a result: as it was typed, or one that repeats it.
std::string command_text(const Provenance& provenance) {
  std::string text = "softmoe " + provenance.command;
  if (provenance.arguments.empty()) {
    const auto config = std::filesystem::path(provenance.path) / "config.toml";
    return std::filesystem::is_directory(provenance.path)
               ? text + " --config " + shell_word(config.string())
               : text;
  }
  for (const auto& argument : provenance.arguments) {
    text += " " + shell_word(argument);
  }
  return text;
}

std::string machine_value(const std::string& key, const Json& value) {
  const bool is_bytes = key.ends_with("_bytes") && value.is_number();
  return is_bytes ? format_bytes(value.get<double>()) : value_text(value);
}

/// The keys of all `machines`, in their order.
std::vector<std::string> keys_of(const std::vector<Json>& machines) {
  std::vector<std::string> keys;
  for (const auto& machine : machines) {
    for (const auto& [key, unused] : machine.items()) {
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
        keys.push_back(key);
      }
    }
  }
  return keys;
}

std::string key_text(const std::string& key) {
  if (key == "isa") {
    return "level of kernels";
  }
  auto name = key.ends_with("_bytes") ? key.substr(0, key.size() - 6) : key;
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

/// One column per distinct machine.
Table machine_table(const std::vector<Provenance>& provenances) {
  std::vector<Json> machines;
  for (const auto& provenance : provenances) {
    const auto& machine = provenance.machine;
    if (machine.is_object() &&
        std::find(machines.begin(), machines.end(), machine) == machines.end()) {
      machines.push_back(machine);
    }
  }
  Table table{.title = "Machine and versions", .columns = {{""}}};
  for (size_t i = 0; i < machines.size(); ++i) {
    table.columns.push_back({machines.size() == 1 ? "" : fmt::format("machine {}", i + 1)});
  }
  for (const auto& key : keys_of(machines)) {
    Row row{.cells = {key_text(key)}};
    for (const auto& machine : machines) {
      row.cells.emplace_back(machine.contains(key) ? machine_value(key, machine.at(key))
                                                   : std::string(kNoValue));
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

std::string options_html(const Json& options) {
  std::string html;
  for (const auto& [name, value] : options.items()) {
    html += escape_html(fmt::format("{} = {}\n", name, value.dump()));
  }
  return "<pre>" + html + "</pre>";
}

}  // namespace

Section provenance_section(const Results& results) {
  Section section("provenance", "How it was made");
  std::string commands;
  for (const auto& provenance : results.provenance) {
    commands += escape_html(command_text(provenance)) + "\n";
  }
  if (commands.empty()) {
    return section;
  }
  section.add_html("<pre>" + commands + "</pre>\n");
  section.add_table(machine_table(results.provenance));
  section.add_heading("All options");
  for (const auto& provenance : results.provenance) {
    if (provenance.options.is_object() && !provenance.options.empty()) {
      section.add_details(fmt::format("{}: {}", provenance.command, provenance.label),
                          options_html(provenance.options));
    }
  }
  return section;
}

}  // namespace softmoe::report
