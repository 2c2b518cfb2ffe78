#pragma once
/// Flags that take lists: `--shots 1 5 25` or `--shots 1,5,25`.

#include <map>
#include <string>
#include <vector>

#include "cli/help_text.h"

namespace softmoe::cli {

/// A command line in two parts: its list flags and all other arguments.
struct SplitArguments {
  std::vector<std::string> others;
  /// By option name: the values of its last occurrence.
  std::map<std::string, std::vector<std::string>> lists;
};

/// Takes the list flags of `groups` and their values out of `arguments`. A list ends at the next
/// flag. If the command takes arguments without a flag (`plain`), a list of numbers or choices also
/// ends before the first argument that is none of them (OptionField::recognizes), so that
/// `--blocks 3 photo.png` is a list of one. A list of other texts leaves as many arguments as there
/// are required operands that nothing before it gives; if the command takes names, it has one
/// value. Throws UsageError for a list without values.
SplitArguments split_list_flags(const std::vector<std::string>& arguments,
                                const std::vector<OptionGroup>& groups,
                                const PlainArguments& plain);

/// Returns true if the option `name` is given as `--name` or `--name=...`.
bool has_flag(const std::vector<std::string>& arguments, const std::string& name);

/// The items of a list that was given as `values`: numbers, choices and plain names (of letters,
/// digits, "_", "-" and ".") are separated at commas; names of files and other texts, such as
/// "key=1,2", are not.
std::vector<std::string> list_items(const OptionField& field,
                                    const std::vector<std::string>& values);

}  // namespace softmoe::cli
