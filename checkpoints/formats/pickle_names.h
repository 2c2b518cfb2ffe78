#pragma once
/// The names of Python that make dicts, tensors and storages. Private to checkpoints/.

#include <torch/types.h>

#include <cstdint>
#include <optional>
#include <string_view>

namespace softmoe {

/// The result of calling a name of Python here.
enum class PickleAction : uint8_t {
  kDict,         ///< a dict, empty or of the pairs in its argument
  kTensor,       ///< a tensor of (storage, offset, sizes, strides, ...)
  kFirst,        ///< its first argument: a parameter is its tensor
  kFromType,     ///< what its first argument makes of its third, a tuple: a tensor with attributes
  kObject,       ///< an object of the class in its first argument
  kStorageType,  ///< nothing; says the dtype of a storage
};

/// A known name.
struct PickleName {
  std::string_view module;
  std::string_view name;
  PickleAction action;
  torch::Dtype dtype = torch::kFloat32;  ///< of a storage type
};

/// The number of a known name; nullopt for others.
std::optional<int64_t> find_pickle_name(std::string_view module, std::string_view name);
/// The name of a number.
const PickleName& pickle_name(int64_t number);

}  // namespace softmoe
