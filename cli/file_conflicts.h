#pragma once
/// What a command must not replace: files that it reads, and those that hold something else.

#include <string>
#include <vector>

namespace softmoe::cli {

/// A file or folder by the option or operand that names it.
struct NamedPath {
  std::string option;  ///< as messages call it: "--json", "CHECKPOINT"
  std::string path;    ///< empty: none
  bool may_be_folder = false;
};

/// Throws UsageError if one of `outputs` is one of `inputs`, by any of its names, or is another
/// output, too (pipes and devices may be both), and InputError if one cannot be written.
void check_outputs(const std::vector<NamedPath>& inputs, const std::vector<NamedPath>& outputs);

/// Throws UsageError if `output` would replace a file whose content is of no kind that the program
/// writes: HDF5, safetensors, zip (.npz), ONNX, PNG, HTML, JSON.
void check_replaces_own(const NamedPath& output);
/// Throws UsageError if the result of `--json` would replace something else than such a result.
void check_replaces_result(const std::string& path);
/// Throws UsageError if the page of `--output` would replace something else than HTML.
void check_replaces_page(const std::string& path);

}  // namespace softmoe::cli
