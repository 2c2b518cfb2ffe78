#pragma once
/// NumPy's .npz files: zip archives of arrays.

#include <filesystem>
#include <string>
#include <vector>

#include "core/named_tensors.h"

namespace softmoe {

/// All arrays of an .npz file (stored or deflated). Dtypes: bool, (u)int8/16/32/64, float16/32/64,
/// and raw 2-byte void, which is bf16 as JAX writes it. Fortran order is converted. Throws
/// InputError that names the file and the array: truncated data, lengths that disagree with the
/// header, object arrays, headers that do not parse. Memory is taken only after the lengths in the
/// archive and in the header are known to agree.
NamedTensors read_npz(const std::filesystem::path& path);

/// The arrays `names` of an .npz file; others are not read. Throws InputError that lists the arrays
/// of the file if one is missing.
NamedTensors read_npz(const std::filesystem::path& path, const std::vector<std::string>& names);

/// The array `name` of `arrays` that came from `path`; throws InputError that lists the names.
const torch::Tensor& npz_array(const NamedTensors& arrays, const std::string& name,
                               const std::filesystem::path& path);

/// The comment of an .npz file, a text beside its arrays; empty if it has none. Throws InputError
/// that names the file if it is no archive.
std::string npz_comment(const std::filesystem::path& path);

/// Max bytes of a comment.
inline constexpr size_t kNpzCommentLimit = 65'535;

/// Writes an .npz file atomically, the same bytes for the same arrays; bf16 is written as raw
/// 2-byte void. There must be at least one array. NumPy ignores the comment, which has at most
/// kNpzCommentLimit bytes.
void write_npz(const std::filesystem::path& path, const NamedTensors& arrays,
               const std::string& comment = "");

}  // namespace softmoe
