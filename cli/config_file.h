#pragma once
/// The file of `--config`: TOML with the names of options as keys.

#include <map>
#include <string>
#include <vector>

#include "cli/help_text.h"
#include "core/toml.h"

namespace softmoe::cli {

/// Values of options that a config file gives.
class ConfigFile {
 public:
  ConfigFile() = default;  ///< gives nothing
  /// Reads `path`. Throws UsageError that names the file and the line if it cannot be read or has a
  /// key that is no option of `groups`, those of `command`.
  ConfigFile(const std::string& path, const std::vector<OptionGroup>& groups,
             const std::string& command);

  /// Returns true if the file gives the option.
  bool gives(const std::string& name) const { return values_.contains(name); }
  /// Returns true if the file gives the option a text that is not empty, or another value.
  bool gives_value(const std::string& name) const;
  /// Sets `field` if the file gives it; throws UsageError that names the file and the line.
  void apply(const OptionField& field) const;
  std::vector<std::string> names() const;

 private:
  std::string where_;
  std::map<std::string, TomlEntry> values_;  // by name
};

}  // namespace softmoe::cli
