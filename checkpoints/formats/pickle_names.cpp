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
    PickleName{"torch._tensor", "_rebuild_from_type", kFromType},
    PickleName{"torch._tensor", "_rebuild_from_type_v2", kFromType},
    PickleName{"copyreg", "_reconstructor", kObject},
    PickleName{"copyreg", "__newobj__", kObject},
    PickleName{"copyreg", "__newobj_ex__", kObject},
    PickleName{"copy_reg", "_reconstructor", kObject},
    PickleName{"numpy.core.multiarray", "_reconstruct", kObject},
    PickleName{"numpy._core.multiarray", "_reconstruct", kObject},
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
    PickleName{"torch", "ComplexFloatStorage", kStorageType, torch::kComplexFloat},
    PickleName{"torch", "ComplexDoubleStorage", kStorageType, torch::kComplexDouble},
    // Their tensors are made by functions that this table does not have; legacy files hold the
    // bytes of all storages, which must be passed over.
    PickleName{"torch", "QInt8Storage", kStorageType, torch::kInt8},
    PickleName{"torch", "QUInt8Storage", kStorageType, torch::kUInt8},
    PickleName{"torch", "QInt32Storage", kStorageType, torch::kInt32},
    PickleName{"torch.storage", "UntypedStorage", kStorageType, torch::kUInt8},
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
