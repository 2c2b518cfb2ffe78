#pragma once
/// The native checkpoint: one HDF5 file with named tensors in groups and a JSON description.
///
/// Each tensor lies in one piece, as "/model/<name>", "/optimizer/<name>", "/ema/<name>",
/// "/helpers/<name>" or "/tokenizer/<name>"; bf16 as uint16 and bool as uint8. Text attributes of
/// the root: `format`, `format_version`, `softmoe_version`, `metadata` (JSON), `tensors` (JSON:
/// dtype and XXH3-64 checksum of each), and `checksum`, the XXH3-64 of these two.

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "core/json_text.h"
#include "core/named_tensors.h"

namespace softmoe {

/// Version of the layout above; a newer one in a file is refused.
inline constexpr int64_t kCheckpointFormatVersion = 1;

/// All that a checkpoint holds.
struct Checkpoint {
  /// Model options, preprocessing, label names, training progress: whatever its writer put in.
  Json metadata = Json::object();
  NamedTensors model = {};
  NamedTensors optimizer = {};
  NamedTensors ema = {};        ///< averages of weights
  NamedTensors helpers = {};    ///< weights that learn beside the model, for the training alone
  NamedTensors tokenizer = {};  ///< tokenizer_tensors() of a model that reads texts
};

/// Which groups to read; the others are left empty.
struct CheckpointParts {
  bool model = true;
  bool optimizer = true;
  bool ema = false;  ///< for runs that resume, as the next; all other readers take the model itself
  bool helpers = false;
  bool tokenizer = false;  ///< for readers of models of images and texts
};

/// Called with each tensor of a checkpoint and its full name, such as "model/<name>".
using TensorVisitor = std::function<void(const std::string& name, const torch::Tensor& tensor)>;
/// Visits the tensors in the order in which they are written.
void for_each_tensor(const Checkpoint& checkpoint, const TensorVisitor& visit);

/// The tensor to write in place of one of a checkpoint, such as the whole of a part.
using TensorToWrite =
    std::function<torch::Tensor(const std::string& name, const torch::Tensor& tensor)>;

/// Writes a checkpoint atomically: an old file stays until the new one is whole and on the disk.
/// Tensors of any device, dtypes fp16, bf16, fp32, fp64, int32, int64, uint8 and bool. Throws
/// InputError that names `path` if the disk is full. `written`, if given, makes the tensors that
/// are written, one at a time, in the order of for_each_tensor().
void save_checkpoint(const std::filesystem::path& path, const Checkpoint& checkpoint,
                     const TensorToWrite& written = {});

/// Reads a checkpoint into CPU tensors and compares every checksum. Throws InputError of one line
/// that names the file, and the tensor, if it is truncated, altered, no checkpoint or of a newer
/// format.
Checkpoint load_checkpoint(const std::filesystem::path& path, const CheckpointParts& parts = {});

/// The metadata alone, without reading tensors; its checksum is compared too.
Json load_metadata(const std::filesystem::path& path);

}  // namespace softmoe
