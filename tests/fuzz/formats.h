#pragma once
/// The readers that fuzzing feeds with damaged files.

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace softmoe::fuzz {

/// A part of a file that is damaged while the rest is kept right: a change of any other byte would
/// only ever meet the checksum over it.
struct Layer {
  std::vector<std::string> (*seeds)();  ///< inputs of which whole files can be made
  /// Makes the file of an input; throws nothing for any input.
  void (*write)(const std::string& input, const std::filesystem::path& path);
};

/// One format with its reader.
struct Format {
  std::string_view name;
  std::string_view file;                                 ///< name of inputs on the disk
  void (*prepare)(const std::filesystem::path& folder);  ///< files that stand beside the input
  /// Reads all of it. Throws InputError for what is damaged, and std::runtime_error if the reader
  /// contradicts itself.
  void (*read)(const std::filesystem::path& path);
  std::vector<Layer> layers;  ///< the first one is the file itself
};

/// All of them.
const std::vector<Format>& formats();

/// The format `name`; nullptr if there is none.
const Format* find_format(std::string_view name);

/// The layer that the first byte of an input of libFuzzer stands for.
const Layer& chosen_layer(const Format& format, char byte);

/// How reading an input ended.
enum class Outcome { kAccepted, kRefused };

/// Writes the file of an input into `folder` and reads it. InputError of one line that names a file
/// of the folder is as it should be; for everything else throws std::runtime_error that says what.
Outcome try_input(const Format& format, const Layer& layer, const std::string& input,
                  const std::filesystem::path& folder);

}  // namespace softmoe::fuzz
