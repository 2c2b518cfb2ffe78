#pragma once
/// HDF5 files as this project uses them: groups, arrays, text attributes. Every failure is an
/// InputError that names the file and the object. HDF5's library runs behind one global lock, so
/// only bytes are read here and decoded outside.
///
/// This is the one header for users. Behind it: hdf5_state (an open file), hdf5_handle (the
/// library's lock, identifiers and types), hdf5_driver (how the library reads and writes bytes).

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace softmoe {

/// Element types of stored arrays. bf16 is stored as 16-bit unsigned integers.
enum class Hdf5Type { kUInt8, kUInt16, kInt32, kInt64, kUInt64, kFloat16, kFloat32, kFloat64 };

/// Bytes of one element.
size_t hdf5_type_size(Hdf5Type type);

/// The type and size of a stored array.
struct Hdf5Info {
  Hdf5Type type = Hdf5Type::kUInt8;
  std::vector<int64_t> shape;
  int64_t bytes = 0;         ///< of all elements; fits in int64
  int64_t stored_bytes = 0;  ///< in the file: less than `bytes` if sparse or compressed
  /// Offset of the bytes in the file; set if they lie there in one piece.
  std::optional<int64_t> offset;
};

/// An open file, closed by the destructor. Paths are "/group/name"; groups are made as needed.
/// Several threads may use one object.
class Hdf5File {
 public:
  /// Opens an existing file for reading.
  static Hdf5File open(const std::filesystem::path& path);
  /// Makes a new file, replacing an old one. Errors name the path `named`.
  static Hdf5File create(const std::filesystem::path& path, const std::filesystem::path& named);

  Hdf5File(Hdf5File&& other) noexcept;
  Hdf5File& operator=(Hdf5File&&) = delete;
  ~Hdf5File();

  /// Writes a whole array from row-major `data`, in one piece of the file.
  void write(const std::string& name, Hdf5Type type, const std::vector<int64_t>& shape,
             const void* data);
  /// Makes an array whose first axis grows, for data larger than memory.
  void create_growing(const std::string& name, Hdf5Type type, const std::vector<int64_t>& row_shape,
                      int64_t chunk_rows);
  /// Appends `rows` rows to a growing array.
  void append(const std::string& name, int64_t rows, const void* data);

  bool exists(const std::string& name) const;
  Hdf5Info info(const std::string& name) const;
  /// Reads a whole array; `type` and `bytes` must be those of info().
  void read(const std::string& name, Hdf5Type type, void* data, size_t bytes) const;
  /// Reads rows [first, first + count) of the first axis of a file that was opened. Rows that lie
  /// in the file as they are in memory are read without a lock, by several threads at the same
  /// time.
  void read_rows(const std::string& name, int64_t first, int64_t count, Hdf5Type type, void* data,
                 size_t bytes) const;
  /// Reads `bytes` bytes of the file itself, from `offset` on, which belong to the array `name`
  /// (see Hdf5Info::offset). Takes no lock, so that several threads read at the same time.
  void read_raw(const std::string& name, int64_t offset, void* data, size_t bytes) const;
  /// Lets read_raw() go past the system's cache if it can (see io/direct_file.h), the file has more
  /// than `max_cached` bytes and the cache does not hold most of it already.
  void pass_cache_above(int64_t max_cached);
  /// Names of the arrays and groups directly in `group`, sorted.
  std::vector<std::string> list(const std::string& group) const;

  /// Text attributes of the file's root, of any length: JSON metadata, versions.
  void write_text(const std::string& name, const std::string& text);
  std::string read_text(const std::string& name) const;
  bool has_text(const std::string& name) const;

  /// Flushes and closes; throws for a failure that the destructor would have to swallow. A created
  /// file is complete only after this.
  void close();

  const std::filesystem::path& path() const;

 private:
  struct State;
  explicit Hdf5File(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace softmoe
