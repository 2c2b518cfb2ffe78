#pragma once
/// The open file behind an Hdf5File: its arrays, text attributes and errors. Private to io.

#include <map>
#include <mutex>
#include <set>

#include "core/error.h"
#include "io/direct_file.h"
#include "io/hdf5.h"
#include "io/hdf5_driver.h"
#include "io/hdf5_handle.h"

namespace softmoe {

/// How the rows of an array lie in its file.
struct Hdf5Rows {
  Hdf5Info info;
  int64_t row_bytes = 0;
  int64_t piece_rows = 0;  ///< that lie one after the other, in each piece but the last
  /// Of the pieces in the file; empty if rows are compressed, or in parts, or not all stored.
  std::vector<int64_t> offsets;
};

/// The caller of all members except the destructor and rows() holds an Hdf5Lock.
struct Hdf5File::State {
  explicit State(std::filesystem::path named);
  ~State();

  /// Closes everything. The library always succeeds, as the driver swallows failures.
  void close();

  /// Throws the error of the system if there was one, else that of the library about `name`.
  [[noreturn]] void fail(const std::string& name, const std::string& expected) const;
  /// Throws the error of the system if there was one.
  void fail_of_system() const;
  /// Throws if the last write failed; called after each, as the driver swallows failures.
  void check(bool success, const std::string& name) const;
  /// The file and the object, for errors.
  std::string place(const std::string& name) const;

  /// The open array `name`. Arrays stay open, so that the library keeps its cache of them.
  hid_t array(const std::string& name);
  /// Makes the groups above the object `name` that do not exist yet.
  void make_groups(const std::string& name);
  Hdf5Info array_info(const std::string& name);
  /// The rows of an array of a file that is not written, found once.
  const Hdf5Rows& rows(const std::string& name);

  /// See the functions of Hdf5File.
  std::vector<std::string> list(const std::string& group) const;
  void write_text(const std::string& name, const std::string& text);
  std::string read_text(const std::string& name) const;
  bool has_text(const std::string& name) const;

  std::filesystem::path path;
  bool writable = false;
  Hdf5FileState disk;
  DirectFile direct;
  Hdf5Handle file;
  std::map<std::string, Hdf5Handle> arrays;
  std::mutex rows_mutex;
  std::map<std::string, Hdf5Rows> rows_by_name;
  std::set<std::string> groups;  // made so far
};

}  // namespace softmoe
