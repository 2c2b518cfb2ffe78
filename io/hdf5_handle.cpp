#include "io/hdf5_handle.h"

#include <array>
#include <string_view>
#include <utility>

namespace softmoe {
namespace {

/// Parts of the library's messages, and what they mean to a user.
constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kMeanings{
    {{"truncated file", "a truncated one"},
     {"signature not found", "other data"},
     {"doesn't exist", "none"},
     {"can't locate attribute", "none"},
     {"not found", "none"},
     {"filter", "data of a compression that is not known here"}}};

std::mutex& library_mutex() {
  static std::mutex mutex;
  return mutex;
}

herr_t keep_first_message(unsigned depth, const H5E_error2_t* error, void* text) {
  if (depth == 0 && error->desc != nullptr) {
    *static_cast<std::string*>(text) = error->desc;
  }
  return 0;
}

}  // namespace

Hdf5Lock::Hdf5Lock() : lock_(library_mutex()) {
  thread_local bool is_silent = false;
  if (!is_silent) {
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    is_silent = true;
  }
}

Hdf5Handle make_hdf5_create_list(hid_t kind) {
  Hdf5Handle list(H5Pcreate(kind), H5Pclose);
  H5Pset_obj_track_times(list.id(), false);
  return list;
}

Hdf5Handle make_hdf5_type(Hdf5Type type) {
  const auto copy = [](hid_t id) { return Hdf5Handle(H5Tcopy(id), H5Tclose); };
  switch (type) {
    case Hdf5Type::kUInt8:
      return copy(H5T_STD_U8LE);
    case Hdf5Type::kUInt16:
      return copy(H5T_STD_U16LE);
    case Hdf5Type::kInt32:
      return copy(H5T_STD_I32LE);
    case Hdf5Type::kInt64:
      return copy(H5T_STD_I64LE);
    case Hdf5Type::kUInt64:
      return copy(H5T_STD_U64LE);
    case Hdf5Type::kFloat32:
      return copy(H5T_IEEE_F32LE);
    case Hdf5Type::kFloat64:
      return copy(H5T_IEEE_F64LE);
    case Hdf5Type::kFloat16:
      break;
  }
  // IEEE binary16, which the library knows by name only from 1.14.4 on.
  Hdf5Handle half = copy(H5T_IEEE_F32LE);
  H5Tset_fields(half.id(), /*spos=*/15, /*epos=*/10, /*esize=*/5, /*mpos=*/0, /*msize=*/10);
  H5Tset_size(half.id(), 2);
  H5Tset_ebias(half.id(), 15);
  return half;
}

std::string hdf5_type_name(Hdf5Type type) {
  switch (type) {
    case Hdf5Type::kUInt8:
      return "uint8";
    case Hdf5Type::kUInt16:
      return "uint16";
    case Hdf5Type::kInt32:
      return "int32";
    case Hdf5Type::kInt64:
      return "int64";
    case Hdf5Type::kUInt64:
      return "uint64";
    case Hdf5Type::kFloat16:
      return "float16";
    case Hdf5Type::kFloat32:
      return "float32";
    case Hdf5Type::kFloat64:
      return "float64";
  }
  return "?";
}

std::string hdf5_error_text() {
  std::string text;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_first_message, &text);
  for (const auto& [part, words] : kMeanings) {
    if (text.find(part) != std::string::npos) {
      return std::string(words);
    }
  }
  return "a damaged one";
}

}  // namespace softmoe
