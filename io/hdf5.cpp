#include "io/hdf5.h"

#include <c10/util/Exception.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <string_view>

#include "core/error.h"
#include "io/file_error.h"
#include "io/hdf5_state.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;

std::vector<hsize_t> file_sizes(const std::vector<int64_t>& shape) {
  for (const int64_t size : shape) {
    TORCH_CHECK_VALUE(size >= 0, "Hdf5File: negative size ", size);
  }
  return {shape.begin(), shape.end()};
}

Hdf5Handle make_space(const std::vector<int64_t>& shape) {
  const auto sizes = file_sizes(shape);
  if (sizes.empty()) {
    return {H5Screate(H5S_SCALAR), H5Sclose};
  }
  return {H5Screate_simple(static_cast<int>(sizes.size()), sizes.data(), nullptr), H5Sclose};
}

Hdf5Handle dataset_properties() {
  auto list = make_hdf5_create_list(H5P_DATASET_CREATE);
  H5Pset_fill_time(list.id(), H5D_FILL_TIME_NEVER);
  return list;
}

/// Refuses files that do not begin as those of HDF5 1.8 and later, which protect their structure by
/// checksums. The library would search a whole file for a beginning, and would read older files,
/// whose structure can crash it if it is damaged.
void check_front(const fs::path& path) {
  constexpr std::string_view kMagic = "\x89HDF\r\n\x1a\n";
  std::array<char, kMagic.size() + 1> front{};
  std::ifstream file(path, std::ios::binary);
  file.read(front.data(), front.size());
  const std::string_view start(front.data(), static_cast<size_t>(file.gcount()));
  if (!start.starts_with(kMagic.substr(0, start.size()))) {
    throw InputError(path.string(), "a whole HDF5 file", "other data");
  }
  // If the file is missing or too short, the library says so.
  if (start.size() == front.size() && front.back() < 2) {
    throw InputError(path.string(), "an HDF5 file of version 1.8 or later", "an older one");
  }
}

}  // namespace

Hdf5File::Hdf5File(std::unique_ptr<State> state) : state_(std::move(state)) {}
Hdf5File::Hdf5File(Hdf5File&& other) noexcept = default;
Hdf5File::~Hdf5File() = default;

const fs::path& Hdf5File::path() const { return state_->path; }

Hdf5File Hdf5File::open(const fs::path& path) {
  auto state = std::make_unique<State>(path);
  {
    const Hdf5Lock lock;
    std::error_code error;
    const auto status = fs::status(path, error);
    if (fs::exists(status) && !fs::is_regular_file(status)) {
      throw_read_error(path,
                       fs::is_directory(status) ? "it is a folder" : "it is no ordinary file");
    }
    check_front(path);
    const Hdf5Handle access(make_hdf5_access_list(&state->disk), H5Pclose);
    state->file = Hdf5Handle(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.id()), H5Fclose);
    if (!state->file.is_open()) {
      state->fail("", "a whole HDF5 file");
    }
  }
  return Hdf5File(std::move(state));
}

Hdf5File Hdf5File::create(const fs::path& path, const fs::path& named) {
  auto state = std::make_unique<State>(named);
  state->writable = true;
  {
    const Hdf5Lock lock;
    const Hdf5Handle access(make_hdf5_access_list(&state->disk), H5Pclose);
    const Hdf5Handle create = make_hdf5_create_list(H5P_FILE_CREATE);  // and of the root group
    state->file =
        Hdf5Handle(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, create.id(), access.id()), H5Fclose);
    state->check(state->file.is_open(), "");
  }
  return Hdf5File(std::move(state));
}

void Hdf5File::write(const std::string& name, Hdf5Type type, const std::vector<int64_t>& shape,
                     const void* data) {
  const Hdf5Lock lock;
  const Hdf5Handle space = make_space(shape);
  const Hdf5Handle element = make_hdf5_type(type);
  const Hdf5Handle create = dataset_properties();
  state_->make_groups(name);
  const Hdf5Handle array(H5Dcreate2(state_->file.id(), name.c_str(), element.id(), space.id(),
                                    H5P_DEFAULT, create.id(), H5P_DEFAULT),
                         H5Dclose);
  state_->check(array.is_open(), name);
  const bool has_data = H5Sget_simple_extent_npoints(space.id()) > 0;
  state_->check(
      !has_data || H5Dwrite(array.id(), element.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0,
      name);
}

void Hdf5File::create_growing(const std::string& name, Hdf5Type type,
                              const std::vector<int64_t>& row_shape, int64_t chunk_rows) {
  TORCH_CHECK_VALUE(chunk_rows > 0, "Hdf5File: chunks of ", chunk_rows, " rows");
  std::vector<int64_t> shape{0};
  shape.insert(shape.end(), row_shape.begin(), row_shape.end());
  const auto sizes = file_sizes(shape);
  auto limits = sizes;
  limits.front() = H5S_UNLIMITED;
  auto chunk = sizes;
  chunk.front() = static_cast<hsize_t>(chunk_rows);

  const Hdf5Lock lock;
  const Hdf5Handle space(
      H5Screate_simple(static_cast<int>(sizes.size()), sizes.data(), limits.data()), H5Sclose);
  const Hdf5Handle create = dataset_properties();
  state_->make_groups(name);
  H5Pset_chunk(create.id(), static_cast<int>(chunk.size()), chunk.data());
  Hdf5Handle array(H5Dcreate2(state_->file.id(), name.c_str(), make_hdf5_type(type).id(),
                              space.id(), H5P_DEFAULT, create.id(), H5P_DEFAULT),
                   H5Dclose);
  state_->check(array.is_open(), name);
  state_->arrays[name] = std::move(array);
}

void Hdf5File::append(const std::string& name, int64_t rows, const void* data) {
  const Hdf5Lock lock;
  const hid_t array = state_->array(name);
  const Hdf5Info info = state_->array_info(name);
  TORCH_CHECK_VALUE(!info.shape.empty() && rows >= 0, "Hdf5File: cannot append to ", name);
  if (rows == 0) {
    return;
  }
  auto sizes = file_sizes(info.shape);
  std::vector<hsize_t> start(sizes.size(), 0);
  start.front() = sizes.front();
  sizes.front() += static_cast<hsize_t>(rows);
  state_->check(H5Dset_extent(array, sizes.data()) >= 0, name);

  auto count = sizes;
  count.front() = static_cast<hsize_t>(rows);
  const Hdf5Handle file_space(H5Dget_space(array), H5Sclose);
  H5Sselect_hyperslab(file_space.id(), H5S_SELECT_SET, start.data(), nullptr, count.data(),
                      nullptr);
  const Hdf5Handle memory_space(
      H5Screate_simple(static_cast<int>(count.size()), count.data(), nullptr), H5Sclose);
  state_->check(H5Dwrite(array, make_hdf5_type(info.type).id(), memory_space.id(), file_space.id(),
                         H5P_DEFAULT, data) >= 0,
                name);
}

bool Hdf5File::exists(const std::string& name) const {
  const Hdf5Lock lock;
  // The library looks up the last part of a path alone, and fails if an earlier one is missing.
  for (size_t end = name.find('/', 1); end != std::string::npos; end = name.find('/', end + 1)) {
    if (H5Lexists(state_->file.id(), name.substr(0, end).c_str(), H5P_DEFAULT) <= 0) {
      return false;
    }
  }
  return H5Lexists(state_->file.id(), name.c_str(), H5P_DEFAULT) > 0;
}

Hdf5Info Hdf5File::info(const std::string& name) const {
  const Hdf5Lock lock;
  return state_->array_info(name);
}

void Hdf5File::read(const std::string& name, Hdf5Type type, void* data, size_t bytes) const {
  const Hdf5Lock lock;
  const Hdf5Info info = state_->array_info(name);
  TORCH_CHECK_VALUE(info.type == type && std::cmp_equal(bytes, info.bytes), "Hdf5File: ", name,
                    " is ", hdf5_type_name(info.type), " of ", info.bytes, " bytes, not ",
                    hdf5_type_name(type), " of ", bytes);
  if (bytes > 0 && H5Dread(state_->array(name), make_hdf5_type(type).id(), H5S_ALL, H5S_ALL,
                           H5P_DEFAULT, data) < 0) {
    state_->fail(name, "readable data");
  }
}

void Hdf5File::read_rows(const std::string& name, int64_t first, int64_t count, Hdf5Type type,
                         void* data, size_t bytes) const {
  const auto& rows = state_->rows(name);
  const auto& info = rows.info;
  TORCH_CHECK_VALUE(!info.shape.empty() && first >= 0 && count >= 0 &&
                        first <= info.shape.front() && count <= info.shape.front() - first,
                    "Hdf5File: rows ", first, " + ", count, " of ", name);
  TORCH_CHECK_VALUE(info.type == type && std::cmp_equal(bytes, rows.row_bytes * count),
                    "Hdf5File: ", name, " has rows of ", rows.row_bytes, " bytes of ",
                    hdf5_type_name(info.type));
  if (bytes == 0) {
    return;
  }
  if (!rows.offsets.empty()) {
    auto* out = static_cast<char*>(data);
    for (const int64_t end = first + count; first < end;) {
      const int64_t place = first % rows.piece_rows;
      const int64_t part = std::min(end - first, rows.piece_rows - place);
      const auto part_bytes = static_cast<size_t>(part * rows.row_bytes);
      const int64_t offset = rows.offsets[static_cast<size_t>(first / rows.piece_rows)];
      read_raw(name, offset + place * rows.row_bytes, out, part_bytes);
      out += part_bytes;
      first += part;
    }
    return;
  }
  const Hdf5Lock lock;
  auto sizes = file_sizes(info.shape);
  std::vector<hsize_t> start(sizes.size(), 0);
  start.front() = static_cast<hsize_t>(first);
  sizes.front() = static_cast<hsize_t>(count);
  const hid_t array = state_->array(name);
  const Hdf5Handle file_space(H5Dget_space(array), H5Sclose);
  H5Sselect_hyperslab(file_space.id(), H5S_SELECT_SET, start.data(), nullptr, sizes.data(),
                      nullptr);
  const Hdf5Handle memory_space(
      H5Screate_simple(static_cast<int>(sizes.size()), sizes.data(), nullptr), H5Sclose);
  if (H5Dread(array, make_hdf5_type(type).id(), memory_space.id(), file_space.id(), H5P_DEFAULT,
              data) < 0) {
    state_->fail(name, "readable data");
  }
}

void Hdf5File::read_raw(const std::string& name, int64_t offset, void* data, size_t bytes) const {
  auto* out = static_cast<char*>(data);
  const size_t direct = state_->direct.read(offset, out, bytes);
  out += direct;
  offset += static_cast<int64_t>(direct);
  bytes -= direct;
  while (bytes > 0) {
    const ssize_t got = ::pread(state_->disk.descriptor, out, bytes, offset);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      throw_read_error(path(), errno);
    }
    if (got == 0) {
      throw InputError(state_->place(name), "readable data", "a truncated one");
    }
    out += got;
    offset += got;
    bytes -= static_cast<size_t>(got);
  }
}

void Hdf5File::pass_cache_above(int64_t max_cached) {
  struct stat status {};
  const int file = state_->disk.descriptor;
  if (::fstat(file, &status) == 0 && status.st_size > max_cached &&
      cached_share(file, status.st_size) < 0.5) {
    state_->direct.open(file);
  }
}

std::vector<std::string> Hdf5File::list(const std::string& group) const {
  const Hdf5Lock lock;
  return state_->list(group);
}

void Hdf5File::write_text(const std::string& name, const std::string& text) {
  const Hdf5Lock lock;
  state_->write_text(name, text);
}

std::string Hdf5File::read_text(const std::string& name) const {
  const Hdf5Lock lock;
  return state_->read_text(name);
}

bool Hdf5File::has_text(const std::string& name) const {
  const Hdf5Lock lock;
  return state_->has_text(name);
}

void Hdf5File::close() {
  const Hdf5Lock lock;
  state_->close();
  state_->fail_of_system();
}

}  // namespace softmoe
