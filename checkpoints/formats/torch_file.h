#pragma once
/// Files of torch.save, read without Python and without running any code in them.

#include <filesystem>
#include <vector>

#include "checkpoints/formats/opaque_object.h"
#include "core/named_tensors.h"

namespace softmoe {

/// What a file of torch.save holds.
struct TorchFile {
  NamedTensors tensors;
  std::vector<OpaqueObject> opaque;  ///< objects of other classes, without those in them
};

/// Reads a file of torch.save: the zip format (torch 1.6 and later) or the legacy one. Dicts in
/// dicts (`model`, `state_dict`, `model_ema`, ...) and lists become one name, joined with '.';
/// numbers as keys are written out, and values that are no tensors (settings, epochs, texts) are
/// left out. Objects of other classes are opaque, unless they take items as a dict or list does.
/// Tensors that share a storage in the file share memory, and have the strides of the file.
/// Dtypes fp64, fp32, fp16, bf16, int64, int32, int16, int8, uint8, bool and complex numbers of
/// fp32 and fp64; tensors of others are opaque.
///
/// Throws InputError of one line that names the file: cut off or damaged, an object of another
/// class in place of the state dict (named; a whole nn.Module among them), TorchScript archives,
/// big-endian files, sizes and strides beyond the storage, storages that are not in the file.
/// Memory stays within a small multiple of the file's length.
TorchFile read_torch_file(const std::filesystem::path& path);

}  // namespace softmoe
