#pragma once
/// The flags of one subcommand: declared from option descriptions, read by CLI11, set on the
/// aggregates that they belong to.

#include <torch/types.h>

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "cli/help_text.h"
#include "core/options.h"

namespace CLI {
class App;
}

namespace softmoe::cli {

/// What every subcommand takes.
struct CommonOptions {
  std::string json;     ///< where the result goes as JSON; empty: nowhere
  int64_t threads = 0;  ///< of libtorch's operators; 0: one a core
  std::string device = "auto";

  bool operator==(const CommonOptions&) const = default;
};

void describe(OptionTable& table, CommonOptions& options);

/// Parses one subcommand:
///
///     FewshotOptions options;
///     CommandLine line("fewshot", "few-shot ridge probes on frozen features");
///     line.add("Probe", options);
///     if (!line.parse(arguments)) return 0;  // --help was shown
///
/// Every option is a flag `--name`, a key of a `--config` file (TOML; flags override it) and a
/// line of `--help`. Bad values throw UsageError that names the flag.
class CommandLine {
 public:
  CommandLine(const std::string& name, const std::string& summary);
  ~CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  /// Declares the options of an aggregate under the heading `group`; parse() sets what the user
  /// gave. `options` must outlive parse().
  template <typename Options>
  void add(const std::string& group, Options& options) {
    add_group({.title = group, .table = option_table(options)});
  }
  /// The same for options whose defaults the command takes from elsewhere after parse(), such as
  /// parts of a model that is named: `--help` shows none.
  template <typename Options>
  void add_derived(const std::string& group, Options& options) {
    add_group({.title = group, .table = option_table(options), .is_derived = true});
  }
  /// The same for options that only change others by apply(): what the user did not give is no part
  /// of resolved().
  template <typename Options>
  void add_overrides(const std::string& group, Options& options) {
    add_group(
        {.title = group, .table = option_table(options), .is_derived = true, .overrides = true});
  }
  /// Words without a flag, such as file names.
  void add_positionals(const PositionalWords& description, std::vector<std::string>& words);

  /// Reads the arguments after the subcommand's name. Returns false where help was asked for and
  /// printed. Applies CommonOptions: threads are set.
  bool parse(const std::vector<std::string>& arguments);

  /// Whether the user set the option, by flag or config file.
  bool given(const std::string& name) const { return given_.contains(name); }
  /// The names of all options that the user set.
  std::set<std::string> given_names() const;
  /// Sets what the user gave on another aggregate of the same description: on a model preset, or
  /// on options read from a checkpoint.
  template <typename Options>
  void apply(Options& options) const {
    apply_table(option_table(options));
  }

  /// What `--help` prints, in lines of at most `width` characters.
  std::string help(size_t width) const;
  /// All declared options with their values now, as JSON: the resolved options of a result.
  Json resolved() const;
  /// The same as a config file, without the options of this call alone (`--json`).
  std::string resolved_config() const;
  const CommonOptions& common() const { return common_; }
  /// The device of `--device`; throws UsageError that names the flag.
  torch::Device device() const;

  /// Writes `results` to the `--json` file where one was asked for, with the command, its
  /// arguments, machine, versions and resolved options around them. `meanwhile`, where given, is
  /// called in any case: what it writes and that file are there both or not.
  void write_json(Json results, const std::function<void()>& meanwhile = {}) const;

 private:
  void add_group(OptionGroup group);
  void apply_table(const OptionTable& table) const;
  void declare(const OptionField& field);
  [[noreturn]] void throw_unknown_flag(const std::string& flag) const;

  /// Calls `use` for every option that has a value.
  void for_each_resolved(const std::function<void(const OptionField&)>& use) const;

  std::string name_;
  std::string summary_;
  std::vector<std::string> arguments_;
  std::unique_ptr<CLI::App> app_;
  std::vector<OptionGroup> groups_;
  std::vector<PositionalWords> positionals_;
  std::map<std::string, std::vector<std::string>> given_;
  CommonOptions common_;
};

}  // namespace softmoe::cli
