#pragma once
/// safetensors: 8 bytes of little-endian header length, a JSON header, the data.
/// Source: github.com/huggingface/safetensors, "Format".

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "core/named_tensors.h"

namespace softmoe {

/// Longest header, and index, that is read; as in the reference implementation.
inline constexpr int64_t kSafetensorsHeaderLimit = 100'000'000;

/// Texts that a file carries beside its tensors, under `__metadata__`.
using SafetensorsMetadata = std::map<std::string, std::string>;

/// All that a file, or a set of shards, holds.
struct Safetensors {
  NamedTensors tensors = {};
  SafetensorsMetadata metadata = {};  ///< of the first shard by name
};

/// Reads a file, or the shards that a `model.safetensors.index.json` names and that lie beside it.
/// Dtypes F64, F32, F16, BF16, I64, I32, I16, I8, U64, U32, U16, U8, BOOL. Tensors use the bytes of
/// the file itself (see MappedFile): nothing is copied, and pages are read when they are used.
/// Throws InputError of one line that names the file and the tensor: lengths and offsets that do
/// not fit the file, overlaps and gaps, other dtypes, repeated names, shards in other folders,
/// tensors that index and shards do not agree on.
Safetensors read_safetensors_file(const std::filesystem::path& path);

/// The tensors alone.
NamedTensors read_safetensors(const std::filesystem::path& path);

/// Writes one file atomically: the same bytes for the same tensors, wider dtypes first and names in
/// order, data at a multiple of 64. Tensors of any device and the dtypes above; names and metadata
/// must be UTF-8. Throws InputError that names `path` if the disk is full.
void write_safetensors(const std::filesystem::path& path, const NamedTensors& tensors,
                       const SafetensorsMetadata& metadata = {});

}  // namespace softmoe
