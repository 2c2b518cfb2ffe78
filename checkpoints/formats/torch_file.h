#pragma once
/// Files of torch.save, read without Python and without running any code in them.

#include <filesystem>

#include "core/named_tensors.h"

namespace softmoe {

/// The tensors of a file of torch.save: the zip format (torch 1.6 and later) or the legacy one.
/// Dicts in dicts (`model`, `state_dict`, `model_ema`, ...) and lists become one name, joined with
/// '.'; numbers as keys are written out, and values that are no tensors (settings, epochs, texts)
/// are left out. Tensors that share a storage in the file share memory, and have the strides of the
/// file.
/// Dtypes fp64, fp32, fp16, bf16, int64, int32, int16, int8, uint8 and bool.
///
/// Throws InputError of one line that names the file: cut off or damaged, objects of other classes
/// than state dicts hold (named; a whole nn.Module among them), TorchScript archives, big-endian
/// files, sizes and strides beyond the storage, storages that are not in the file. Memory stays
/// within a small multiple of the file's length.
NamedTensors read_torch_file(const std::filesystem::path& path);

}  // namespace softmoe
