#include "cli/command_line.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>

#include "cli/list_flags.h"
#include "core/error.h"
#include "io/atomic_file.h"
#include "runtime/device.h"
#include "runtime/machine.h"

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

}  // namespace

void describe(OptionTable& table, CommonOptions& options) {
  table.add("json", options.json, "write the result to this file as JSON", {.unit = "file"});
  table.add("threads", options.threads, "compute threads; 0: one a core", {.min = 0});
  table.add("device", options.device, "auto, cpu, cuda or cuda:<index>");
}

CommandLine::CommandLine(const std::string& name, const std::string& summary)
    : name_(name), summary_(summary), app_(std::make_unique<CLI::App>()) {
  app_->set_help_flag("-h,--help");
  app_->set_config("-c,--config");
  app_->allow_config_extras(false);
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
        ->each([this, name = field.name()](const std::string& word) { given_[name] = {word}; });
    return;
  }
  auto* option =
      app_->add_option(fmt::format("{}", fmt::join(flag_names(field), ",")),
                       [this, name = field.name()](const std::vector<std::string>& words) {
                         given_[name] = words;
                         return true;
                       });
  if (field.is_list()) {
    option->expected(1, 1 << 20);  // in a config file; flags are read by split_list_flags
  } else {
    // As in other tools: a wrapper's flags can be overridden behind them.
    option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  }
}

void CommandLine::add_positionals(const PositionalWords& description,
                                  std::vector<std::string>& words) {
  auto* option = app_->add_option(description.name, words);
  if (description.required) {
    option->required();
  }
  positionals_.push_back(description);
}

void CommandLine::throw_unknown_flag(const std::string& flag) const {
  std::string nearest;
  size_t distance = 4;  // further off is no typing mistake
  for (const auto& group : groups_) {
    for (const auto& field : group.table.fields()) {
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
  auto [others, lists] = split_list_flags(arguments, groups_, !positionals_.empty());
  try {
    std::reverse(others.begin(), others.end());
    app_->parse(others);
  } catch (const CLI::CallForHelp&) {
    fmt::print("{}", help(help_width()));
    return false;
  } catch (const CLI::ExtrasError&) {
    const auto extras = app_->remaining();
    throw_unknown_flag(extras.empty() ? "?" : extras.front());
  } catch (const CLI::ConfigError& error) {
    throw UsageError(fmt::format("config file {}: {}", app_->get_config_ptr()->as<std::string>(),
                                 single_line(error.what())));
  } catch (const CLI::ArgumentMismatch& error) {
    const std::string text = error.what();
    if (!text.ends_with("missing")) {
      throw UsageError(single_line(text));
    }
    throw UsageError(text.substr(0, text.find(':')), "a value", "none");
  } catch (const CLI::ParseError& error) {
    throw UsageError(single_line(error.what()));
  }
  for (const auto& [name, words] : lists) {
    given_[name] = words;  // over those of a config file
  }
  for (const auto& group : groups_) {
    apply_table(group.table);
  }
  // Prediction does without OpenMP where its models are packed.
  prepare_process(/*may_start_again=*/name_ != "predict" && name_ != "models");
  set_compute_threads(common_.threads);
  return true;
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
    const auto words = given_.find(field.name());
    if (words != given_.end()) {
      try {
        field.parse(field.is_list() ? list_items(field, words->second) : words->second, "");
      } catch (const UsageError& error) {
        throw UsageError("--" + std::string(error.what()));
      }
    }
  }
}

std::set<std::string> CommandLine::given_names() const {
  std::set<std::string> names;
  for (const auto& [name, words] : given_) {
    names.insert(name);
  }
  return names;
}

std::string CommandLine::help(size_t width) const {
  return help_text(
      {.command = name_, .summary = summary_, .positionals = positionals_, .groups = groups_},
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
  document["machine"] = machine_description();
  document["options"] = resolved();
  document.update(results);
  write_text_file(common_.json, json_text(document, 2) + "\n", meanwhile);
}

}  // namespace softmoe::cli
