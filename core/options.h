#pragma once
/// One description of every option: name, member, meaning, unit, range. It is the source of flags,
/// config files, checkpoint metadata, `--help` and the documentation.
///
/// An aggregate of options is a plain struct with defaults and operator==; a free function
/// `void describe(OptionTable&, MyOptions&)` binds its members:
///
///     void describe(OptionTable& table, SgdOptions& options) {
///       table.add("lr", options.lr, "learning rate at the peak", {.min = 0});
///       table.add("momentum", options.momentum, "share of the last step", {.min = 0, .max = 1});
///     }

#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/duration.h"
#include "core/enum_names.h"
#include "core/error.h"
#include "core/json_text.h"

namespace softmoe {

/// The allowed values of an option: `min` to `max`, both included, or one of `choices`.
struct OptionLimits {
  std::string unit = {};  ///< of the value, as shown in `--help`: "px", "images", "epochs"
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  /// Precisions among them (core/precision.h) may be given by their short names, too.
  std::vector<std::string> choices = {};
  /// What the value is if it is not given, such as "that of the data set"; `--help` shows this
  /// instead of the default.
  std::string follows = {};
};

/// One option, bound to a member of an aggregate.
class OptionField {
 public:
  /// An enum, read and written by name.
  struct EnumTarget {
    std::function<std::string()> get;
    std::function<void(const std::string&)> set;
  };
  using Target =
      std::variant<bool*, int64_t*, double*, std::string*, Duration*, std::vector<int64_t>*,
                   std::vector<double>*, std::vector<std::string>*, EnumTarget>;

  OptionField(std::string name, Target target, std::string meaning, OptionLimits limits);

  /// This option with `name` in place of its own.
  OptionField renamed(std::string name) const;

  const std::string& name() const { return name_; }
  const std::string& meaning() const { return meaning_; }
  const OptionLimits& limits() const { return limits_; }
  bool is_flag() const { return std::holds_alternative<bool*>(target_); }
  bool is_list() const;
  /// "bool", "int", "float", "time" or "text", or "int ..." for a list of such values.
  std::string type_name() const;
  /// The type of the value, or of one item of a list.
  std::string item_type() const;
  /// "in [0, 1]" or "one of a, b (short name of b)"; empty if everything is allowed.
  std::string allowed() const;
  /// The value as a user would type it.
  std::string text() const;
  /// Returns true if `text` is certainly a value, or an item of a list: a number, a time, one of
  /// the choices. Returns false for options that any text can be a value of.
  bool recognizes(const std::string& text) const;

  /// `name = value` and a line break, as in a config file; parse_toml() reads it back.
  std::string config_line() const;

  /// The value with texts as they are, which may not be valid UTF-8.
  Json value() const;
  /// The value with texts as valid UTF-8.
  Json to_json() const;
  /// Sets the value. Throws UsageError that names `where`, the option, what is allowed and what was
  /// found.
  void from_json(const Json& value, const std::string& where) const;
  /// Sets the value from the texts of a command line, several for a list; a flag takes true or
  /// false. Throws like from_json().
  void parse(const std::vector<std::string>& texts, const std::string& where) const;

 private:
  void check(const Json& value, const std::string& where) const;

  std::string name_;
  Target target_;
  std::string meaning_;
  OptionLimits limits_;
};

/// The options of one or more aggregates, in the order in which they were described.
class OptionTable {
 public:
  /// Adds the option `name` bound to `member`, which must outlive the table.
  void add(std::string name, OptionField::Target member, std::string meaning,
           OptionLimits limits = {});

  /// Adds the option `name` bound to `member`, which must outlive the table.
  template <typename T>
  requires std::is_constructible_v<OptionField::Target, T*>
  void add(std::string name, T& member, std::string meaning, OptionLimits limits = {}) {
    add(std::move(name), OptionField::Target(&member), std::move(meaning), std::move(limits));
  }

  /// Adds the option `name` bound to an enum: all of kEnumNames<E>, or `values` alone.
  template <typename E>
  requires std::is_enum_v<E>
  void add(std::string name, E& member, std::string meaning, std::vector<E> values = {}) {
    OptionLimits limits;
    limits.choices = enum_names<E>();
    if (!values.empty()) {
      limits.choices.clear();
      for (const auto value : values) {
        limits.choices.push_back(enum_name(value));
      }
    }
    OptionField::EnumTarget target;
    target.get = [&member] { return enum_name(member); };
    target.set = [&member](const std::string& text) {
      member = enum_value<E>(text).value_or(member);
    };
    add(std::move(name), std::move(target), std::move(meaning), std::move(limits));
  }

  /// Adds the options of `other`, bound to the same members, as `prefix` + their names.
  void add_all(const std::string& prefix, const OptionTable& other);

  const std::vector<OptionField>& fields() const { return fields_; }
  /// The option called `name`, or nullptr.
  const OptionField* find(const std::string& name) const;

  Json to_json() const;
  /// Sets the options that `values` names; throws UsageError for a name that does not exist.
  void from_json(const Json& values, const std::string& where) const;

  /// The config line of every option.
  std::string to_config() const;

 private:
  std::vector<OptionField> fields_;
};

/// The table of one aggregate.
template <typename Options>
OptionTable option_table(Options& options) {
  OptionTable table;
  describe(table, options);
  return table;
}

/// The options as JSON, by the names of their description.
template <typename Options>
Json options_to_json(Options options);

/// Options from JSON over the defaults; throws UsageError naming `where`.
template <typename Options>
Options options_from_json(const Json& values, const std::string& where);

/// Options from JSON that a file holds, over the defaults; throws InputError naming `where`.
template <typename Options>
Options stored_options(const Json& values, const std::string& where);

}  // namespace softmoe

#include <nlohmann/json.hpp>

namespace softmoe {

template <typename Options>
Json options_to_json(Options options) {
  return option_table(options).to_json();
}

template <typename Options>
Options options_from_json(const Json& values, const std::string& where) {
  Options options;
  option_table(options).from_json(values, where);
  return options;
}

template <typename Options>
Options stored_options(const Json& values, const std::string& where) {
  try {
    return options_from_json<Options>(values, where);
  } catch (const UsageError& error) {
    throw InputError(error.what());  // wrong in the file, not on the command line
  }
}

}  // namespace softmoe
