#pragma once
/// The lock, identifiers, types and messages of HDF5's C interface. Private to io.

#include <hdf5.h>

#include <mutex>
#include <string>
#include <utility>

#include "io/hdf5.h"

namespace softmoe {

/// Held during every call into the library. It also keeps the library from printing its errors,
/// which has to be switched off in each thread.
class Hdf5Lock {
 public:
  Hdf5Lock();

 private:
  std::lock_guard<std::mutex> lock_;
};

/// Owns an identifier of the library.
class Hdf5Handle {
 public:
  using Close = herr_t (*)(hid_t);

  Hdf5Handle() = default;
  Hdf5Handle(hid_t id, Close close) : id_(id), close_(close) {}
  Hdf5Handle(Hdf5Handle&& other) noexcept
      : id_(std::exchange(other.id_, H5I_INVALID_HID)), close_(other.close_) {}
  Hdf5Handle& operator=(Hdf5Handle&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(close_, other.close_);
    return *this;
  }
  ~Hdf5Handle() {
    if (id_ >= 0) {
      close_(id_);
    }
  }

  hid_t id() const { return id_; }
  bool is_open() const { return id_ >= 0; }
  /// Gives up the identifier without closing it.
  hid_t release() { return std::exchange(id_, H5I_INVALID_HID); }

 private:
  hid_t id_ = H5I_INVALID_HID;
  Close close_ = nullptr;
};

/// Properties of new objects of `kind`, such as H5P_GROUP_CREATE. They keep no times, so that files
/// of equal contents have equal bytes.
Hdf5Handle make_hdf5_create_list(hid_t kind);

/// The library's own type for elements of `type`, in files and in memory (little-endian).
Hdf5Handle make_hdf5_type(Hdf5Type type);

/// "float32" and so on.
std::string hdf5_type_name(Hdf5Type type);

/// The innermost message of the library's last failure, without its details.
std::string hdf5_error_text();

}  // namespace softmoe
