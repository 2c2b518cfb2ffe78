#include "cli/list_flags.h"

#include "core/error.h"
#include "core/split_text.h"

namespace softmoe::cli {
namespace {

using Argument = std::vector<std::string>::const_iterator;

/// The option that `argument` names, as "--name", "-n" or "--name=...", or nullptr.
const OptionField* named_option(const std::string& argument,
                                const std::vector<OptionGroup>& groups) {
  const auto name = argument.substr(0, argument.find('='));
  for (const auto& group : groups) {
    for (const auto& field : group.table.fields()) {
      const auto names = flag_names(field);
      if (std::find(names.begin(), names.end(), name) != names.end()) {
        return &field;
      }
    }
  }
  return nullptr;
}

bool is_flag(const OptionField& field, const std::string& argument) {
  return argument.size() > 1 && argument.front() == '-' && !field.recognizes(argument);
}

/// Returns true if an argument can be seen not to be an item of the list.
bool has_recognizable_items(const OptionField& field) {
  return field.item_type() != "text" || !field.limits().choices.empty();
}

/// Returns true if commas in `value` separate items.
bool is_separated(const OptionField& field, const std::string& value) {
  if (has_recognizable_items(field)) {
    return true;
  }
  const auto is_plain = [](unsigned char letter) {
    return std::isalnum(letter) != 0 || letter == '_' || letter == '-' || letter == '.' ||
           letter == ',';
  };
  const auto& unit = field.limits().unit;
  return unit != "file" && unit != "path" && std::all_of(value.begin(), value.end(), is_plain);
}

bool are_items(const OptionField& field, const std::string& value) {
  const auto items = list_items(field, {value});
  return std::all_of(items.begin(), items.end(),
                     [&field](const std::string& item) { return field.recognizes(item); });
}

/// Goes through the arguments of one command line.
class Splitter {
 public:
  Splitter(const std::vector<std::string>& arguments, const std::vector<OptionGroup>& groups,
           const PlainArguments& plain)
      : next_(arguments.begin()), end_(arguments.end()), groups_(groups), plain_(plain) {
    // A config file may give the operands, too.
    if (!has_flag(arguments, "config") &&
        std::find(arguments.begin(), arguments.end(), "-c") == arguments.end()) {
      missing_ = std::count_if(plain.operands.begin(), plain.operands.end(),
                               [&arguments](const PositionalOption& operand) {
                                 return operand.required && !has_flag(arguments, operand.option);
                               });
    }
  }

  SplitArguments split() {
    while (next_ != end_ && *next_ != "--") {
      const auto* field = named_option(*next_, groups_);
      if (field != nullptr && field->is_list()) {
        take_list(*field);
      } else {
        take_other(field);
      }
    }
    split_.others.insert(split_.others.end(), next_, end_);  // "--" and all that it protects
    return std::move(split_);
  }

 private:
  /// Takes a flag with its value, or an argument without a flag.
  void take_other(const OptionField* field) {
    const auto& argument = *next_;
    const bool is_config = argument == "-c" || argument == "--config";
    const bool takes_value = is_config || (field != nullptr && !field->is_flag() &&
                                           argument.find('=') == std::string::npos);
    if (field == nullptr && !argument.starts_with("-")) {
      missing_ = std::max<int64_t>(0, missing_ - 1);
    }
    split_.others.push_back(*next_++);
    if (takes_value && next_ != end_ && named_option(*next_, groups_) == nullptr) {
      split_.others.push_back(*next_++);
    }
  }

  void take_list(const OptionField& field) {
    std::vector<std::string> values;
    const auto equals = next_->find('=');
    if (equals != std::string::npos) {
      values.push_back(next_->substr(equals + 1));
      ++next_;
    } else {
      const auto last = end_of_list(field, ++next_);
      values.assign(next_, last);
      next_ = last;
    }
    if (values.empty()) {
      throw UsageError("--" + field.name(), "at least one value", "none");
    }
    split_.lists[field.name()] = values;
  }

  Argument end_of_list(const OptionField& field, Argument first) const {
    const auto next_flag = std::find_if(
        first, end_, [&field](const std::string& argument) { return is_flag(field, argument); });
    if (next_flag - first < 2 || plain_.empty()) {
      return next_flag;
    }
    if (has_recognizable_items(field)) {
      return std::find_if(first + 1, next_flag, [&field](const std::string& argument) {
        return !are_items(field, argument);
      });
    }
    return plain_.names ? first + 1 : std::max(first + 1, next_flag - missing_);
  }

  Argument next_;
  Argument end_;
  const std::vector<OptionGroup>& groups_;
  const PlainArguments& plain_;
  int64_t missing_ = 0;  // required operands that are not given yet
  SplitArguments split_;
};

}  // namespace

SplitArguments split_list_flags(const std::vector<std::string>& arguments,
                                const std::vector<OptionGroup>& groups,
                                const PlainArguments& plain) {
  return Splitter(arguments, groups, plain).split();
}

bool has_flag(const std::vector<std::string>& arguments, const std::string& name) {
  const auto flag = "--" + name;
  const auto end = std::find(arguments.begin(), arguments.end(), "--");
  return std::any_of(arguments.begin(), end, [&flag](const std::string& argument) {
    return argument == flag || argument.starts_with(flag + "=");
  });
}

std::vector<std::string> list_items(const OptionField& field,
                                    const std::vector<std::string>& values) {
  std::vector<std::string> items;
  for (const auto& value : values) {
    if (!is_separated(field, value)) {
      items.push_back(value);
      continue;
    }
    const auto parts = split_text(value + ",", ',');
    items.insert(items.end(), parts.begin(), parts.end());
  }
  return items;
}

}  // namespace softmoe::cli
