#pragma once
/// What an Hdf5File holds open. Private to core.

#include <map>

#include "core/error.h"
#include "io/direct_file.h"
#include "io/hdf5.h"
#include "io/hdf5_driver.h"
#include "io/hdf5_handle.h"

namespace softmoe {

/// All members but the destructor expect that the caller holds an Hdf5Lock.
struct Hdf5File::State {
  explicit State(std::filesystem::path named);
  ~State();

  /// Closes everything; the driver sees to it that the library succeeds.
  void close();

  /// Throws what the system said, else what the library said about the object `name`.
  [[noreturn]] void fail(const std::string& name, const std::string& expected) const;
  /// Throws what the system said, if it said anything.
  void fail_of_system() const;
  /// To be called after each write, since the driver swallows failures.
  void check(bool success, const std::string& name) const;
  /// The file and the object, for errors.
  std::string place(const std::string& name) const;

  /// The open array `name`. Arrays stay open, so that the library keeps what it read of them.
  hid_t array(const std::string& name);
  Hdf5Info array_info(const std::string& name);

  std::filesystem::path path;
  bool writable = false;
  Hdf5FileState disk;
  DirectFile direct;
  Hdf5Handle file;
  std::map<std::string, Hdf5Handle> arrays;
};

}  // namespace softmoe
