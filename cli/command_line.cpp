#include "cli/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/machine.h"

namespace softmoe::cli {
namespace {

/// Levenshtein distance, to guess what a mistyped flag was meant to be.
size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row.back();
}

std::string help_text(const OptionField& field) {
  std::string text = field.meaning();
  const auto allowed = field.allowed();
  if (!allowed.empty()) {
    text += "; " + allowed;
  }
  const auto value = field.text();
  return text + (value.empty() ? "" : " [" + value + "]");
}

}  // namespace

void describe(OptionTable& table, CommonOptions& options) {
  table.add("json", options.json, "write the result to this file as JSON", {.unit = "file"});
  table.add("threads", options.threads, "compute threads; 0: one a core", {.min = 0});
  table.add("device", options.device, "auto, cpu, cuda or cuda:<index>");
}

CommandLine::CommandLine(const std::string& name, const std::string& summary)
    : name_(name), app_(std::make_unique<CLI::App>(summary, "softmoe " + name)) {
  app_->set_help_flag("-h,--help", "show this help");
  app_->set_config("-c,--config", "", "read options from a TOML file; flags override it");
  app_->allow_config_extras(false);
  app_->get_formatter()->column_width(38);
  add("General", common_);
}

CommandLine::~CommandLine() = default;

void CommandLine::add_table(const std::string& group, OptionTable table) {
  for (const auto& field : table.fields()) {
    declare(group, field);
  }
  tables_.push_back(std::move(table));
}

void CommandLine::declare(const std::string& group, const OptionField& field) {
  const auto store = [this, name = field.name()](const std::vector<std::string>& words) {
    given_[name] = words;
    return true;
  };
  // timm's short names for the options that are typed most.
  static const std::map<std::string, std::string> short_names{{"batch-size", "-b,"},
                                                              {"workers", "-j,"}};
  const auto short_name = short_names.find(field.name());
  const std::string flags =
      (short_name == short_names.end() ? "" : short_name->second) + "--" + field.name();
  if (field.is_flag()) {
    app_->add_flag(flags + ",!--no-" + field.name())
        ->each([this, name = field.name()](const std::string& word) { given_[name] = {word}; })
        ->description(help_text(field))
        ->group(group);
    return;
  }
  auto* option = app_->add_option(flags, store, help_text(field));
  option->group(group)->type_name(field.limits().unit.empty()
                                      ? field.type_name()
                                      : field.type_name() + " (" + field.limits().unit + ")");
  if (field.is_list()) {
    option->expected(1, 1 << 20);
  } else {
    // As in other tools: a wrapper's flags can be overridden behind them.
    option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  }
}

void CommandLine::add_positionals(const std::string& name, std::vector<std::string>& words,
                                  const std::string& meaning, int minimum) {
  auto* option = app_->add_option(name, words, meaning);
  if (minimum > 0) {
    option->required()->expected(minimum, 1 << 20);
  }
}

void CommandLine::throw_unknown_flag(const std::string& flag) const {
  std::string nearest;
  size_t distance = 4;  // further off is no typing mistake
  for (const auto& table : tables_) {
    for (const auto& field : table.fields()) {
      const auto candidate = "--" + field.name();
      if (edit_distance(flag, candidate) < distance) {
        distance = edit_distance(flag, candidate);
        nearest = candidate;
      }
    }
  }
  throw UsageError(fmt::format("unknown argument '{}'{}; see softmoe {} --help", flag,
                               nearest.empty() ? "" : ", did you mean " + nearest + "?", name_));
}

bool CommandLine::parse(const std::vector<std::string>& arguments) {
  arguments_ = arguments;
  try {
    auto reversed = arguments;
    std::reverse(reversed.begin(), reversed.end());
    app_->parse(reversed);
  } catch (const CLI::CallForHelp&) {
    fmt::print("{}", app_->help());
    return false;
  } catch (const CLI::ExtrasError&) {
    const auto extras = app_->remaining();
    throw_unknown_flag(extras.empty() ? "?" : extras.front());
  } catch (const CLI::ConfigError& error) {
    throw UsageError(fmt::format("config file {}: {}", app_->get_config_ptr()->as<std::string>(),
                                 single_line(error.what())));
  } catch (const CLI::ParseError& error) {
    throw UsageError(single_line(error.what()));
  }
  for (const auto& table : tables_) {
    apply_table(table);
  }
  prepare_process();
  set_compute_threads(common_.threads);
  return true;
}

void CommandLine::apply_table(const OptionTable& table) const {
  for (const auto& field : table.fields()) {
    const auto words = given_.find(field.name());
    if (words != given_.end()) {
      try {
        field.parse(words->second, "");
      } catch (const UsageError& error) {
        throw UsageError("--" + std::string(error.what()));
      }
    }
  }
}

std::string CommandLine::given_text(const std::string& name, const std::string& otherwise) const {
  const auto words = given_.find(name);
  return words == given_.end() || words->second.size() != 1 ? otherwise : words->second.front();
}

Json CommandLine::resolved() const {
  Json values = Json::object();
  for (const auto& table : tables_) {
    values.update(table.to_json());
  }
  return values;
}

std::string CommandLine::resolved_config() const {
  std::string text;
  for (const auto& table : tables_) {
    for (const auto& field : table.fields()) {
      if (field.name() != "json") {
        text += field.config_line();
      }
    }
  }
  return text;
}

void CommandLine::write_json(Json results) const {
  if (common_.json.empty()) {
    return;
  }
  Json document;
  document["command"] = name_;
  document["arguments"] = arguments_;
  document["machine"] = machine_description();
  document["options"] = resolved();
  document.update(results);
  write_text_file(common_.json, document.dump(2) + "\n");
}

}  // namespace softmoe::cli
