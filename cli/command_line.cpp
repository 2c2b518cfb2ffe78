#include "cli/command_line.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "cli/file_conflicts.h"
#include "cli/list_flags.h"
#include "cli/other_flags.h"
#include "core/error.h"
#include "core/nearest_name.h"
#include "core/shell_word.h"
#include "io/atomic_file.h"
#include "ops/processor_level.h"
#include "runtime/device.h"
#include "runtime/machine.h"
#include "vit/zoo.h"

namespace softmoe::cli {
void describe(OptionTable& table, CommonOptions& options) {
  table.add("json", options.json, "write the result to this file as JSON", {.unit = "file"});
  table.add("threads", options.threads, "compute threads; 0: one per core",
            {.min = 0, .max = 1000});
  table.add("device", options.device, "auto, cpu, cuda or cuda:<index>");
}

CommandLine::CommandLine(const std::string& name, const std::string& summary)
    : name_(name), summary_(summary), app_(std::make_unique<CLI::App>()) {
  app_->set_help_flag("-h,--help");
  app_->add_option("-c,--config", config_path_)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  add("General", common_);
}

CommandLine::~CommandLine() = default;

void CommandLine::add_group(OptionGroup group) {
  for (const auto& field : group.table.fields()) {
    declare(field);
  }
  groups_.push_back(std::move(group));
}

void CommandLine::declare(const OptionField& field) {
  if (field.is_flag()) {
    app_->add_flag(fmt::format("--{0},!--no-{0}", field.name()))
        ->each([this, name = field.name()](const std::string& value) { given_[name] = {value}; });
    return;
  }
  auto* option =
      app_->add_option(fmt::format("{}", fmt::join(flag_names(field), ",")),
                       [this, name = field.name()](const std::vector<std::string>& values) {
                         given_[name] = values;
                         return true;
                       });
  // As in other tools: later flags override those of a wrapper script.
  option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

void CommandLine::add_operand(const std::string& name, bool required) {
  TORCH_INTERNAL_ASSERT(find_option(groups_, name) != nullptr, "no option ", name);
  plain_.operands.push_back({.option = name, .required = required});
}

void CommandLine::add_names(const PlainNames& description, std::vector<std::string>& names) {
  plain_.names = description;
  names_ = &names;
}

std::string CommandLine::advice_on(const std::string& argument) const {
  std::error_code none;
  if (const auto known = advice_on_other_flag(argument); !known.empty()) {
    return "; " + known;
  }
  if (argument.starts_with('-')) {
    if (!plain_.empty() && std::filesystem::exists(argument, none)) {
      return "; the file of this name is " + shell_word("./" + argument);
    }
    std::vector<std::string> flags;
    for (const auto& name : option_names(groups_)) {
      flags.push_back("--" + name);
    }
    return did_you_mean(argument.substr(0, argument.find('=')), flags);
  }
  const auto takes = [&](const OptionField& field) {
    return field.name() == "model"      ? is_model_name(argument)
           : field.name() == "data-dir" ? std::filesystem::is_directory(argument, none)
                                        : field.item_type() == "text" && field.recognizes(argument);
  };
  for (const auto& group : groups_) {
    for (const auto& field : group.table.fields()) {
      if (takes(field)) {
        return fmt::format(", did you mean --{} {}?", field.name(), shell_word(argument));
      }
    }
  }
  return "";
}

void CommandLine::throw_unknown(const std::string& argument) const {
  throw UsageError(fmt::format("unknown argument '{}'{}; see softmoe {} --help",
                               printable_text(argument), advice_on(argument), name_));
}

void CommandLine::throw_unplaced(const std::string& argument) const {
  for (const auto& operand : plain_.operands) {
    if (has_flag(arguments_, operand.option)) {
      throw UsageError(fmt::format("'{}' is one argument too many: --{} gives {} already", argument,
                                   operand.option, operand_name(operand.option)));
    }
  }
  throw_unknown(argument);
}

void CommandLine::place_operands() {
  std::vector<std::string> open;   // operands without a flag
  std::vector<std::string> empty;  // of these, the ones that the config file does not give
  for (const auto& operand : plain_.operands) {
    if (!has_flag(arguments_, operand.option)) {
      open.push_back(operand.option);
      if (!given(operand.option)) {
        empty.push_back(operand.option);
      }
    }
  }
  const bool replaces_config = !plain_.names && unflagged_.size() > empty.size();
  const auto& places = replaces_config ? open : empty;
  auto next = unflagged_.begin();
  for (const auto& option : places) {
    if (next == unflagged_.end()) {
      break;
    }
    const bool is_list = find_option(groups_, option)->is_list();
    const auto last = is_list ? unflagged_.end() : next + 1;
    given_[option] = {next, last};
    placed_.insert(option);
    next = last;
  }
  if (plain_.names) {
    names_->assign(next, unflagged_.end());
  } else if (next != unflagged_.end()) {
    throw_unplaced(*next);
  }
}

void CommandLine::check_operands() const {
  for (const auto& operand : plain_.operands) {
    const auto texts = given_.find(operand.option);
    const bool has_value = texts == given_.end() ? config_.gives_value(operand.option)
                                                 : !texts->second.front().empty();
    if (operand.required && !has_value) {
      throw UsageError(fmt::format("{} (--{}) is missing: {}", operand_name(operand.option),
                                   operand.option,
                                   find_option(groups_, operand.option)->meaning()));
    }
  }
}

void CommandLine::check_files() const {
  std::vector<NamedPath> inputs{{.option = "--config", .path = config_path_}};
  std::vector<NamedPath> outputs;
  for_each_resolved([&](const OptionField& field) {
    const auto& unit = field.limits().unit;
    if (unit != "file" && unit != "path") {
      return;
    }
    const bool is_output = field.name() == "output" || field.name() == "json";
    const auto value = field.value();
    for (const auto& item : value.is_array() ? value : Json::array({value})) {
      (is_output ? outputs : inputs)
          .push_back({.option = shown_name(field.name()),
                      .path = item.get<std::string>(),
                      .may_be_folder = unit == "path"});
    }
  });
  if (names_ != nullptr) {
    for (const auto& name : *names_) {
      std::error_code unknown;
      const bool has_label = !std::filesystem::exists(name, unknown);  // LABEL=PATH
      inputs.push_back({.option = plain_.names->name,
                        .path = has_label ? name.substr(name.find('=') + 1) : name});
    }
  }
  check_outputs(inputs, outputs);
  std::for_each(outputs.begin(), outputs.end(), check_replaces_own);
  if (!common_.json.empty()) {
    check_replaces_result(common_.json);
  }
}

void CommandLine::run_parser(std::vector<std::string> arguments) {
  if (!plain_.empty()) {
    app_->add_option("arguments", unflagged_);
  }
  try {
    std::reverse(arguments.begin(), arguments.end());
    app_->parse(arguments);
  } catch (const CLI::ExtrasError&) {
    const auto extras = app_->remaining();
    throw_unknown(extras.empty() ? "?" : extras.front());
  } catch (const CLI::ArgumentMismatch& error) {
    const std::string text = error.what();
    if (!text.ends_with("missing")) {
      throw UsageError(single_line(text));
    }
    throw UsageError(text.substr(0, text.find(':')), "a value", "none");
  }
}

bool CommandLine::parse(const std::vector<std::string>& arguments) {
  arguments_ = arguments;
  auto [others, lists] = split_list_flags(arguments, groups_, plain_);
  try {
    run_parser(std::move(others));
  } catch (const CLI::CallForHelp&) {
    fmt::print("{}", help(help_width()));
    return false;
  } catch (const CLI::ParseError& error) {
    throw UsageError(single_line(error.what()));
  }
  for (const auto& [name, values] : lists) {
    given_[name] = values;
  }
  if (!config_path_.empty()) {
    config_ = ConfigFile(config_path_, groups_, name_);
  }
  place_operands();
  check_operands();
  for (const auto& group : groups_) {
    apply_table(group.table);
  }
  check_files();
  isa_ = level_name();  // throws before any work is done
  // Prediction with packed models hardly uses OpenMP.
  prepare_process(/*may_start_again=*/name_ != "predict" && name_ != "models");
  set_compute_threads(common_.threads);
  return true;
}

std::string CommandLine::shown_name(const std::string& option) const {
  return placed_.contains(option) ? operand_name(option) : "--" + option;
}

torch::Device CommandLine::device() const {
  try {
    return parse_device(common_.device);
  } catch (const UsageError& error) {
    throw UsageError("--" + std::string(error.what()));
  }
}

void CommandLine::apply_table(const OptionTable& table) const {
  for (const auto& field : table.fields()) {
    const auto texts = given_.find(field.name());
    if (texts == given_.end()) {
      config_.apply(field);
      continue;
    }
    try {
      field.parse(field.is_list() ? list_items(field, texts->second) : texts->second, "");
    } catch (const UsageError& error) {
      // The message begins with the name of the option.
      throw UsageError(shown_name(field.name()) +
                       std::string(error.what()).substr(field.name().size()));
    }
  }
}

std::set<std::string> CommandLine::given_names() const {
  const auto configured = config_.names();
  std::set<std::string> names(configured.begin(), configured.end());
  for (const auto& [name, values] : given_) {
    names.insert(name);
  }
  return names;
}

std::string CommandLine::help(size_t width) const {
  return help_text({.command = name_, .summary = summary_, .plain = plain_, .groups = groups_},
                   width);
}

void CommandLine::for_each_resolved(const std::function<void(const OptionField&)>& use) const {
  for (const auto& group : groups_) {
    for (const auto& field : group.table.fields()) {
      if (!group.overrides || given(field.name())) {
        use(field);
      }
    }
  }
}

Json CommandLine::resolved() const {
  Json values = Json::object();
  for_each_resolved(
      [&values](const OptionField& field) { values[field.name()] = field.to_json(); });
  return values;
}

std::string CommandLine::resolved_config() const {
  std::string text;
  for_each_resolved([&text](const OptionField& field) {
    text += field.name() == "json" ? "" : field.config_line();
  });
  return text;
}

void CommandLine::write_json(Json results, const std::function<void()>& meanwhile) const {
  if (common_.json.empty()) {
    if (meanwhile) {
      meanwhile();
    }
    return;
  }
  Json document;
  document["command"] = name_;
  document["arguments"] = arguments_;
  document["working_folder"] = valid_utf8(std::filesystem::current_path().string());
  document["machine"] = machine_description(isa_);
  document["options"] = resolved();
  document.update(results);
  write_text_file(common_.json, json_text(document, 2) + "\n", meanwhile);
}

}  // namespace softmoe::cli
