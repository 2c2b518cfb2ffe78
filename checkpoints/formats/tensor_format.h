#pragma once
/// The containers of tensors: how each is recognised, called and written.

#include <filesystem>
#include <span>
#include <string_view>

namespace softmoe {

/// Containers of tensors.
enum class TensorFormat { kHdf5, kSafetensors, kNpz, kTorch };

/// One row of the table.
struct TensorFormatRow {
  TensorFormat format;
  std::string_view name;   ///< "hdf5", as flags call it
  std::string_view title;  ///< "a native checkpoint", for messages
  /// Ends of the names of files that are written in this format, with their dot; none: read only.
  std::span<const std::string_view> extensions = {};
  /// The family of names that is written unless the user asks for another.
  std::string_view usual_family = "ours";
  bool has_config_files = false;  ///< config files of other libraries stand beside its files
};

/// All rows.
std::span<const TensorFormatRow> tensor_formats();
/// The row of a format.
const TensorFormatRow& format_row(TensorFormat format);

/// The file that `path` stands for: of a folder the `model.safetensors`,
/// `model.safetensors.index.json` or `pytorch_model.bin` in it, or open_clip's files, in this
/// order. Throws InputError that names the folder if it has none of them.
std::filesystem::path model_file(const std::filesystem::path& path);

/// The format of model_file(path), by its first bytes. Throws InputError that names the file if it
/// is of none.
TensorFormat tensor_format(const std::filesystem::path& path);

}  // namespace softmoe
