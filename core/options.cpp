#include "core/options.h"

#include <fmt/core.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <sstream>
#include <type_traits>

#include "core/error.h"
#include "core/nearest_name.h"
#include "core/precision.h"
#include "core/toml.h"

namespace softmoe {
namespace {

template <typename T>
struct IsVector : std::false_type {};
template <typename T>
struct IsVector<std::vector<T>> : std::true_type {};

template <typename T>
std::string scalar_type_name() {
  if constexpr (std::is_same_v<T, bool>) {
    return "bool";
  } else if constexpr (std::is_same_v<T, int64_t>) {
    return "int";
  } else if constexpr (std::is_same_v<T, double>) {
    return "float";
  } else if constexpr (std::is_same_v<T, Duration>) {
    return "time";
  } else {
    return "text";
  }
}

template <typename T>
T parse_number(const std::string& text, const std::string& what) {
  constexpr bool is_integer = std::is_same_v<T, int64_t>;
  char* end = nullptr;
  errno = 0;
  T value{};
  if constexpr (is_integer) {
    value = std::strtoll(text.c_str(), &end, 10);
  } else {
    value = std::strtod(text.c_str(), &end);  // too large: infinite; too small: 0 or nearly so
  }
  const bool is_number = end != text.c_str() && end == text.c_str() + text.size();
  if (!is_number || (is_integer && errno == ERANGE)) {
    throw UsageError(what,
                     !is_integer ? "a number"
                     : is_number ? "an integer of 64 bits"
                                 : "an integer",
                     "'" + printable_text(text) + "'");
  }
  return value;
}

template <typename T>
T parse_scalar(const std::string& text, const std::string& what) {
  if constexpr (std::is_same_v<T, std::string>) {
    return text;
  } else if constexpr (std::is_same_v<T, bool>) {
    if (text == "true" || text == "1") {
      return true;
    }
    if (text == "false" || text == "0") {
      return false;
    }
    throw UsageError(what, "true or false", "'" + printable_text(text) + "'");
  } else if constexpr (std::is_same_v<T, Duration>) {
    if (const auto duration = parse_duration(text)) {
      return *duration;
    }
    throw UsageError(what, std::string(kDurationForm), "'" + printable_text(text) + "'");
  } else {
    return parse_number<T>(text, what);
  }
}

bool contains(const std::vector<std::string>& choices, const std::string& name) {
  return std::find(choices.begin(), choices.end(), name) != choices.end();
}

/// `value` with the full names of precisions among `choices` for the short ones.
Json with_full_names(Json value, const std::vector<std::string>& choices) {
  const auto replace = [&choices](Json& item) {
    if (item.is_string()) {
      const auto name = full_precision_name(item.get<std::string>());
      item = contains(choices, name) ? Json(name) : std::move(item);
    }
  };
  if (value.is_array()) {
    std::for_each(value.begin(), value.end(), replace);
  } else {
    replace(value);
  }
  return value;
}

bool json_is(const Json& value, const std::string& type) {
  if (type == "bool") {
    return value.is_boolean();
  }
  if (type == "int") {
    return value.is_number_integer();
  }
  if (type == "float") {
    return value.is_number();
  }
  if (type == "time") {
    return value.is_string() && parse_duration(value.get<std::string>()).has_value();
  }
  return value.is_string();
}

std::string plain_text(const Json& value) {
  if (value.is_string()) {
    return value.get<std::string>();
  }
  if (value.is_array()) {
    std::vector<std::string> parts;
    for (const auto& item : value) {
      parts.push_back(plain_text(item));
    }
    return fmt::format("{}", fmt::join(parts, " "));
  }
  if (value.is_number_float()) {
    return fmt::format("{:g}", value.get<double>());
  }
  return json_text(value);
}

}  // namespace

OptionField::OptionField(std::string name, Target target, std::string meaning, OptionLimits limits)
    : name_(std::move(name)),
      target_(std::move(target)),
      meaning_(std::move(meaning)),
      limits_(std::move(limits)) {}

OptionField OptionField::renamed(std::string name) const {
  return {std::move(name), target_, meaning_, limits_};
}

bool OptionField::is_list() const {
  return std::visit([]<typename T>(const T&) { return IsVector<std::remove_pointer_t<T>>::value; },
                    target_);
}

std::string OptionField::type_name() const {
  return std::visit(
      []<typename T>(const T&) -> std::string {
        using Value = std::remove_pointer_t<T>;
        if constexpr (IsVector<Value>::value) {
          return scalar_type_name<typename Value::value_type>() + " ...";
        } else if constexpr (std::is_same_v<T, EnumTarget>) {
          return "text";
        } else {
          return scalar_type_name<Value>();
        }
      },
      target_);
}

std::string OptionField::item_type() const { return type_name().substr(0, type_name().find(' ')); }

std::string OptionField::allowed() const {
  if (!limits_.choices.empty()) {
    std::vector<std::string> names;
    for (const auto& choice : limits_.choices) {
      const auto short_name = short_precision_name(choice);
      names.push_back(short_name.empty() ? choice : fmt::format("{} ({})", choice, short_name));
    }
    return fmt::format("one of {}", fmt::join(names, ", "));
  }
  const bool has_min = std::isfinite(limits_.min);
  const bool has_max = std::isfinite(limits_.max);
  if (has_min && has_max) {
    return fmt::format("in [{:g}, {:g}]", limits_.min, limits_.max);
  }
  if (has_min) {
    return fmt::format("at least {:g}", limits_.min);
  }
  return has_max ? fmt::format("at most {:g}", limits_.max) : "";
}

std::string OptionField::text() const { return plain_text(to_json()); }

std::string OptionField::config_line() const { return toml_line(name_, value()); }

Json OptionField::value() const {
  return std::visit(
      []<typename T>(const T& target) -> Json {
        if constexpr (std::is_same_v<T, EnumTarget>) {
          return target.get();
        } else if constexpr (std::is_same_v<T, Duration*>) {
          return duration_text(*target);
        } else {
          return *target;
        }
      },
      target_);
}

Json OptionField::to_json() const {
  auto json = value();
  if (json.is_string()) {
    return valid_utf8(json.get<std::string>());
  }
  if (json.is_array() && item_type() == "text") {
    for (auto& item : json) {
      item = valid_utf8(item.get<std::string>());
    }
  }
  return json;
}

bool OptionField::recognizes(const std::string& text) const {
  const auto type = item_type();
  if (type == "text") {
    return contains(limits_.choices, full_precision_name(text));
  }
  if (type == "time") {
    return parse_duration(text).has_value();
  }
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  return end != text.c_str() && *end == '\0' && std::isfinite(number);
}

void OptionField::check(const Json& value, const std::string& where) const {
  const std::string what = where.empty() ? name_ : where + ": " + name_;
  const Json items = is_list() ? value : Json::array({value});
  if (!items.is_array()) {
    throw UsageError(what, "a list", json_text(value));
  }
  for (const auto& item : items) {
    if (!json_is(item, item_type())) {
      throw UsageError(what, item_type() == "time" ? std::string(kDurationForm) : item_type(),
                       json_text(item));
    }
    if (item.is_number()) {
      const double number = item.get<double>();
      if (!std::isfinite(number)) {
        throw UsageError(what, "a finite number", plain_text(item));
      }
      if (!(number >= limits_.min && number <= limits_.max)) {
        throw UsageError(what, allowed(), plain_text(item));
      }
    } else if (item.is_string() && !limits_.choices.empty()) {
      const auto name = item.get<std::string>();
      if (!contains(limits_.choices, name)) {
        throw UsageError(what, allowed(),
                         "'" + printable_text(name) + "'" + did_you_mean(name, limits_.choices));
      }
    }
  }
}

void OptionField::from_json(const Json& given, const std::string& where) const {
  const auto value = with_full_names(given, limits_.choices);
  check(value, where);
  std::visit(
      [&value]<typename T>(const T& target) {
        if constexpr (std::is_same_v<T, EnumTarget>) {
          target.set(value.get<std::string>());
        } else if constexpr (std::is_same_v<T, Duration*>) {
          *target = parse_duration(value.get<std::string>()).value();
        } else {
          *target = value.get<std::remove_pointer_t<T>>();
        }
      },
      target_);
}

void OptionField::parse(const std::vector<std::string>& texts, const std::string& where) const {
  const std::string what = where.empty() ? name_ : where + ": " + name_;
  const Json value = std::visit(
      [&]<typename T>(const T&) -> Json {
        using Value = std::remove_pointer_t<T>;
        if constexpr (IsVector<Value>::value) {
          Json list = Json::array();
          for (const auto& text : texts) {
            list.push_back(parse_scalar<typename Value::value_type>(text, what));
          }
          return list;
        } else {
          if (texts.size() != 1) {
            throw UsageError(what, "one value", std::to_string(texts.size()));
          }
          if constexpr (std::is_same_v<T, EnumTarget>) {
            return texts.front();
          } else if constexpr (std::is_same_v<Value, Duration>) {
            return duration_text(parse_scalar<Duration>(texts.front(), what));
          } else {
            return parse_scalar<Value>(texts.front(), what);
          }
        }
      },
      target_);
  from_json(value, where);
}

void OptionTable::add(std::string name, OptionField::Target member, std::string meaning,
                      OptionLimits limits) {
  TORCH_CHECK_VALUE(find(name) == nullptr, "OptionTable: option described twice: ", name);
  fields_.emplace_back(std::move(name), std::move(member), std::move(meaning), std::move(limits));
}

void OptionTable::add_all(const std::string& prefix, const OptionTable& other) {
  for (const auto& field : other.fields_) {
    auto name = prefix + field.name();
    TORCH_CHECK_VALUE(find(name) == nullptr, "OptionTable: option described twice: ", name);
    fields_.push_back(field.renamed(std::move(name)));
  }
}

const OptionField* OptionTable::find(const std::string& name) const {
  for (const auto& field : fields_) {
    if (field.name() == name) {
      return &field;
    }
  }
  return nullptr;
}

Json OptionTable::to_json() const {
  Json values = Json::object();
  for (const auto& field : fields_) {
    values[field.name()] = field.to_json();
  }
  return values;
}

void OptionTable::from_json(const Json& values, const std::string& where) const {
  if (!values.is_object()) {
    throw UsageError(where, "an object of options", values.type_name());
  }
  for (const auto& [name, value] : values.items()) {
    const auto* field = find(name);
    if (field == nullptr) {
      throw UsageError(where + ": unknown option '" + name + "'");
    }
    field->from_json(value, where);
  }
}

std::string OptionTable::to_config() const {
  std::string text;
  for (const auto& field : fields_) {
    text += field.config_line();
  }
  return text;
}

}  // namespace softmoe
