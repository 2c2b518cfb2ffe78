#pragma once
/// `--help` of a subcommand, from the descriptions of its options.

#include <optional>
#include <string>
#include <vector>

#include "core/options.h"

namespace softmoe::cli {

/// The options of one aggregate under their heading.
struct OptionGroup {
  std::string title;
  OptionTable table;
  /// True if values that the user does not give come from elsewhere, such as a model that is named;
  /// then help shows no defaults.
  bool is_derived = false;
  /// True if the options only change others; then those that the user did not give have no value.
  bool overrides = false;
};

/// An option that can be given without its flag, by its place: CHECKPOINT instead of
/// `--checkpoint CHECKPOINT`. A list takes all arguments that remain.
struct PositionalOption {
  std::string option;
  bool required = true;
};

/// Names that have no flag at all, such as those of image files.
struct PlainNames {
  std::string name;  ///< "IMAGE"
  std::string meaning;
};

/// What a subcommand takes without flags: its operands, then names.
struct PlainArguments {
  std::vector<PositionalOption> operands{};
  std::optional<PlainNames> names{};

  bool empty() const { return operands.empty() && !names; }
};

/// What there is to say about a subcommand.
struct HelpPage {
  std::string command;
  std::string summary;
  const PlainArguments& plain;
  const std::vector<OptionGroup>& groups;  ///< the first is what every command takes
};

/// What messages call an operand: "CHECKPOINT" of the option "checkpoint".
std::string operand_name(const std::string& option);

/// The option called `name`, or nullptr.
const OptionField* find_option(const std::vector<OptionGroup>& groups, const std::string& name);

/// The names of all options, in their order.
std::vector<std::string> option_names(const std::vector<OptionGroup>& groups);

/// All flags of an option: "-b, --batch-size", "--smooth, --no-smooth".
std::vector<std::string> flag_names(const OptionField& field);

/// The page in lines of at most `width` characters (a longer word has a line of its own): each
/// option with its meaning, what is allowed, and its default with the unit in brackets.
std::string help_text(const HelpPage& page, size_t width);

/// The width of the terminal on standard output; 100 if it is no terminal.
size_t help_width();

}  // namespace softmoe::cli
