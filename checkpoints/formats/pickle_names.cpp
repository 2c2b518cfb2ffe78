#include "checkpoints/formats/pickle_names.h"

#include <algorithm>
#include <array>

namespace softmoe {
namespace {

using enum PickleAction;

constexpr std::array kNames = {
    PickleName{"collections", "OrderedDict", kDict},
    PickleName{"collections", "defaultdict", kDict},
    PickleName{"collections", "Counter", kDict},
    PickleName{"builtins", "dict", kDict},
    PickleName{"__builtin__", "dict", kDict},
    PickleName{"torch._utils", "_rebuild_tensor", kTensor},
    PickleName{"torch._utils", "_rebuild_tensor_v2", kTensor},
    PickleName{"torch._utils", "_rebuild_parameter", kFirst},
    PickleName{"torch._utils", "_rebuild_parameter_with_state", kFirst},
    PickleName{"torch", "DoubleStorage", kStorageType, torch::kFloat64},
    PickleName{"torch", "FloatStorage", kStorageType, torch::kFloat32},
    PickleName{"torch", "HalfStorage", kStorageType, torch::kFloat16},
    PickleName{"torch", "BFloat16Storage", kStorageType, torch::kBFloat16},
    PickleName{"torch", "LongStorage", kStorageType, torch::kInt64},
    PickleName{"torch", "IntStorage", kStorageType, torch::kInt32},
    PickleName{"torch", "ShortStorage", kStorageType, torch::kInt16},
    PickleName{"torch", "CharStorage", kStorageType, torch::kInt8},
    PickleName{"torch", "ByteStorage", kStorageType, torch::kUInt8},
    PickleName{"torch", "BoolStorage", kStorageType, torch::kBool},
    // Objects beside tensors in training checkpoints.
    PickleName{"argparse", "Namespace"},
    PickleName{"types", "SimpleNamespace"},
    PickleName{"builtins", "set"},
    PickleName{"__builtin__", "set"},
    PickleName{"builtins", "frozenset"},
    PickleName{"__builtin__", "frozenset"},
    PickleName{"builtins", "list"},
    PickleName{"__builtin__", "list"},
    PickleName{"builtins", "tuple"},
    PickleName{"builtins", "int"},
    PickleName{"__builtin__", "int"},
    PickleName{"builtins", "float"},
    PickleName{"__builtin__", "float"},
    PickleName{"builtins", "str"},
    PickleName{"builtins", "bool"},
    PickleName{"builtins", "bytes"},
    PickleName{"builtins", "bytearray"},
    PickleName{"builtins", "complex"},
    PickleName{"__builtin__", "complex"},
    PickleName{"builtins", "slice"},
    PickleName{"builtins", "range"},
    PickleName{"_codecs", "encode"},
    PickleName{"pathlib", "Path"},
    PickleName{"pathlib", "PosixPath"},
    PickleName{"pathlib", "PurePosixPath"},
    PickleName{"pathlib", "WindowsPath"},
    PickleName{"pathlib", "PureWindowsPath"},
    PickleName{"pathlib._local", "PosixPath"},
    PickleName{"pathlib._local", "WindowsPath"},
    PickleName{"numpy", "dtype"},
    PickleName{"numpy", "ndarray"},
    PickleName{"numpy.core.multiarray", "scalar"},
    PickleName{"numpy.core.multiarray", "_reconstruct"},
    PickleName{"numpy._core.multiarray", "scalar"},
    PickleName{"numpy._core.multiarray", "_reconstruct"},
    PickleName{"torch", "Size"},
    PickleName{"torch", "device"},
    PickleName{"torch.torch_version", "TorchVersion"},
    PickleName{"torch", "float64"},
    PickleName{"torch", "float32"},
    PickleName{"torch", "float16"},
    PickleName{"torch", "bfloat16"},
    PickleName{"torch", "int64"},
    PickleName{"torch", "int32"},
    PickleName{"torch", "uint8"},
    PickleName{"torch", "bool"},
};

}  // namespace

std::optional<int64_t> find_pickle_name(std::string_view module, std::string_view name) {
  const auto* const row = std::find_if(kNames.begin(), kNames.end(), [&](const PickleName& known) {
    return known.module == module && known.name == name;
  });
  return row == kNames.end() ? std::nullopt : std::optional<int64_t>(row - kNames.begin());
}

const PickleName& pickle_name(int64_t number) { return kNames.at(static_cast<size_t>(number)); }

}  // namespace softmoe
