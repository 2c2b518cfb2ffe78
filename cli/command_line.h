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

#include "cli/config_file.h"
#include "cli/help_text.h"
#include "core/options.h"

namespace CLI {
class App;
}

namespace softmoe::cli {

/// What every subcommand takes.
struct CommonOptions {
  std::string json;     ///< file for the result as JSON; empty: none
  int64_t threads = 0;  ///< of libtorch's operators; 0: one per core
  std::string device = "auto";

  bool operator==(const CommonOptions&) const = default;
};

void describe(OptionTable& table, CommonOptions& options);

/// Parses one subcommand:
///
///     FewShotFlags flags;
///     CommandLine line("fewshot", "few-shot ridge probes on frozen features");
///     line.add("Probe", flags);
///     line.add_operand("checkpoint");
///     if (!line.parse(arguments)) return;  // --help was shown
///
/// Every option is a flag `--name`, a key of a `--config` file (TOML; flags override it) and a
/// line of `--help`. Options that are operands can be given by their place, too: the model that a
/// command reads is `CHECKPOINT` or `--checkpoint CHECKPOINT`, the file that it writes is `OUTPUT`
/// or `--output OUTPUT`, in every command. An operand that is given by its flag has no place: the
/// arguments without a flag then begin with the next one. A place goes first to operands that the
/// config file does not give. Bad values throw UsageError that names the flag or the operand.
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
  /// Declares options whose defaults the command takes from elsewhere after parse(), such as parts
  /// of a model that is named; `--help` shows no defaults.
  template <typename Options>
  void add_derived(const std::string& group, Options& options) {
    add_group({.title = group, .table = option_table(options), .is_derived = true});
  }
  /// Declares options that only change others by apply(): options that the user did not give are no
  /// part of resolved().
  template <typename Options>
  void add_overrides(const std::string& group, Options& options) {
    add_group(
        {.title = group, .table = option_table(options), .is_derived = true, .overrides = true});
  }
  /// Lets the option `name`, which is declared already, be given by its place. parse() throws
  /// UsageError if a required one is missing.
  void add_operand(const std::string& name, bool required = true);
  /// The arguments behind the operands, such as names of image files.
  void add_names(const PlainNames& description, std::vector<std::string>& names);

  /// Reads the arguments that follow the subcommand's name. Returns false if help was asked for,
  /// which is printed then. Applies CommonOptions: threads are set. Throws UsageError for a bad
  /// SOFTMOE_ISA, too.
  bool parse(const std::vector<std::string>& arguments);

  const std::string& name() const { return name_; }
  /// Returns true if the user set the option, by flag, place or config file.
  bool given(const std::string& name) const { return given_.contains(name) || config_.gives(name); }
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
  /// All declared options as a config file, without the options of this call alone (`--json`).
  std::string resolved_config() const;
  const CommonOptions& common() const { return common_; }
  /// The level of the kernels in use, such as "avx2"; known after parse().
  const std::string& isa() const { return isa_; }
  /// The device of `--device`; throws UsageError that names the flag.
  torch::Device device() const;

  /// If `--json` is given, writes `results` there, with the command, its arguments, machine,
  /// versions and resolved options around them. `meanwhile` is called in any case; either what it
  /// writes and that file are there afterwards, or none of them.
  void write_json(Json results, const std::function<void()>& meanwhile = {}) const;

  /// ", did you mean --model vit_b16?" if `argument` is the value of an option that is given by its
  /// flag, or a file whose name begins as a flag does; else a flag of a similar name, or "".
  std::string advice_on(const std::string& argument) const;

 private:
  void add_group(OptionGroup group);
  void apply_table(const OptionTable& table) const;
  void declare(const OptionField& field);
  void run_parser(std::vector<std::string> arguments);
  void place_operands();
  void check_operands() const;
  void check_files() const;
  [[noreturn]] void throw_unplaced(const std::string& argument) const;
  [[noreturn]] void throw_unknown(const std::string& argument) const;
  /// What messages call the option: "--name", or its name as an operand if it was given so.
  std::string shown_name(const std::string& option) const;

  /// Calls `use` for every option that has a value.
  void for_each_resolved(const std::function<void(const OptionField&)>& use) const;

  std::string name_;
  std::string summary_;
  std::vector<std::string> arguments_;
  std::unique_ptr<CLI::App> app_;
  std::vector<OptionGroup> groups_;
  PlainArguments plain_;
  std::vector<std::string> unflagged_;         // arguments without a flag, in their order
  std::vector<std::string>* names_ = nullptr;  // where those behind the operands go
  std::map<std::string, std::vector<std::string>> given_;  // by the command line
  std::string config_path_;
  ConfigFile config_;
  std::set<std::string> placed_;  // options that were given by their place
  CommonOptions common_;
  std::string isa_;  // the level of the kernels in use
};

}  // namespace softmoe::cli
