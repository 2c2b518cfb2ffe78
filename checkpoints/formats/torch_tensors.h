#pragma once
/// Tensors by name of the objects of a pickle. Private to checkpoints/.

#include <functional>
#include <map>
#include <string>

#include "checkpoints/formats/pickle.h"
#include "checkpoints/formats/torch_file.h"
#include "core/named_tensors.h"

namespace softmoe {

/// The type and size of a storage by its pickle.
struct StorageClaim {
  torch::Dtype dtype = torch::kFloat32;
  int64_t elements = 0;

  int64_t item_bytes() const { return static_cast<int64_t>(c10::elementSize(dtype)); }
  bool operator==(const StorageClaim&) const = default;
};

/// All storages of a pickle by key. Throws InputError that names `where` if there are two claims
/// for one key, or more bytes than `byte_limit`, the length of the data beside the pickle.
std::map<std::string, StorageClaim> storage_claims(const Pickle& pickle, int64_t byte_limit,
                                                   const std::string& where);

/// The storage [elements] of a key.
using StorageOfKey = std::function<torch::Tensor(const std::string& key)>;

/// All tensors of a pickle by name, views of storages that have the sizes of storage_claims(), and
/// the opaque objects beside them. Storages that only opaque objects refer to are not asked for.
/// Throws InputError that names `where` and the tensor, or what made the object in whose place a
/// state dict is expected.
TorchFile torch_tensors(const Pickle& pickle, const StorageOfKey& storage_of_key,
                        const std::string& where);

}  // namespace softmoe
