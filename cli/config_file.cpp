#include "cli/config_file.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/nearest_name.h"
#include "io/atomic_file.h"

namespace softmoe::cli {
namespace {

std::vector<TomlEntry> read_entries(const std::string& path, const std::string& where) {
  try {
    return parse_toml(read_text_file(path), where);
  } catch (const InputError& error) {
    throw UsageError(error.what());
  }
}

}  // namespace

ConfigFile::ConfigFile(const std::string& path, const std::vector<OptionGroup>& groups,
                       const std::string& command)
    : where_("config file " + path) {
  for (auto& entry : read_entries(path, where_)) {
    const auto* option = find_option(groups, entry.name);
    if (option == nullptr) {
      throw UsageError(fmt::format("{}: line {}: unknown option '{}'{}; see softmoe {} --help",
                                   where_, entry.line, printable_text(entry.name),
                                   did_you_mean(entry.name, option_names(groups)), command));
    }
    if (option->is_list() && !entry.value.is_array()) {
      entry.value = Json::array({entry.value});
    }
    values_.emplace(entry.name, std::move(entry));
  }
}

bool ConfigFile::gives_value(const std::string& name) const {
  const auto entry = values_.find(name);
  return entry != values_.end() && entry->second.value != "";
}

void ConfigFile::apply(const OptionField& field) const {
  const auto entry = values_.find(field.name());
  if (entry != values_.end()) {
    field.from_json(entry->second.value, fmt::format("{}: line {}", where_, entry->second.line));
  }
}

std::vector<std::string> ConfigFile::names() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : values_) {
    names.push_back(name);
  }
  return names;
}

}  // namespace softmoe::cli
