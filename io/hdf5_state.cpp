#include "io/hdf5_state.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "io/file_error.h"
#include "io/shape_bytes.h"

namespace softmoe {
namespace {

constexpr std::array kTypes = {Hdf5Type::kUInt8,   Hdf5Type::kUInt16, Hdf5Type::kInt32,
                               Hdf5Type::kInt64,   Hdf5Type::kUInt64, Hdf5Type::kFloat16,
                               Hdf5Type::kFloat32, Hdf5Type::kFloat64};

/// Follows no link into another file.
herr_t refuse_external_link(const char* /*parent_file*/, const char* /*parent_group*/,
                            const char* /*file*/, const char* /*object*/, unsigned* /*flags*/,
                            hid_t /*access_list*/, void* /*data*/) {
  return -1;
}

/// Returns true if all data of an array lies in the file itself.
bool lies_in_file(hid_t array) {
  const Hdf5Handle plan(H5Dget_create_plist(array), H5Pclose);
  const H5D_layout_t layout = H5Pget_layout(plan.id());
  return layout >= H5D_COMPACT && layout <= H5D_CHUNKED && H5Pget_external_count(plan.id()) == 0;
}

/// The offsets of the chunks of an array that are made of `chunk_rows` whole rows as they are in
/// memory; none for other arrays.
std::vector<int64_t> chunk_offsets(hid_t array, const Hdf5Info& info, int64_t& chunk_rows) {
  const Hdf5Handle plan(H5Dget_create_plist(array), H5Pclose);
  std::vector<hsize_t> chunk(info.shape.size());
  if (H5Pget_layout(plan.id()) != H5D_CHUNKED || H5Pget_nfilters(plan.id()) != 0 ||
      H5Pget_chunk(plan.id(), static_cast<int>(chunk.size()), chunk.data()) < 0 ||
      !std::equal(chunk.begin() + 1, chunk.end(), info.shape.begin() + 1,
                  [](hsize_t mine, int64_t whole) { return std::cmp_equal(mine, whole); })) {
    return {};
  }
  chunk_rows = static_cast<int64_t>(chunk.front());
  std::vector<int64_t> offsets;
  std::vector<hsize_t> place(chunk.size(), 0);
  for (int64_t row = 0; row < info.shape.front(); row += chunk_rows) {
    place.front() = static_cast<hsize_t>(row);
    unsigned filters = 0;
    haddr_t offset = HADDR_UNDEF;
    hsize_t bytes = 0;
    if (H5Dget_chunk_info_by_coord(array, place.data(), &filters, &offset, &bytes) < 0 ||
        !std::in_range<int64_t>(offset)) {
      return {};
    }
    offsets.push_back(static_cast<int64_t>(offset));
  }
  return offsets;
}

}  // namespace

size_t hdf5_type_size(Hdf5Type type) {
  switch (type) {
    case Hdf5Type::kUInt8:
      return 1;
    case Hdf5Type::kUInt16:
    case Hdf5Type::kFloat16:
      return 2;
    case Hdf5Type::kInt32:
    case Hdf5Type::kFloat32:
      return 4;
    case Hdf5Type::kInt64:
    case Hdf5Type::kUInt64:
    case Hdf5Type::kFloat64:
      return 8;
  }
  return 0;
}

Hdf5File::State::State(std::filesystem::path named) : path(std::move(named)) {}

Hdf5File::State::~State() {
  const Hdf5Lock lock;
  close();
}

void Hdf5File::State::close() {
  arrays.clear();
  file = {};
}

void Hdf5File::State::fail(const std::string& name, const std::string& expected) const {
  fail_of_system();
  throw InputError(place(name), expected, disk.ended_early ? "a truncated one" : hdf5_error_text());
}

void Hdf5File::State::fail_of_system() const {
  if (disk.error != 0) {
    if (writable) {
      throw_write_error(path, disk.error);
    }
    throw_read_error(path, disk.error);
  }
}

void Hdf5File::State::check(bool success, const std::string& name) const {
  fail_of_system();
  if (!success) {
    fail(name, "a writable file");
  }
}

std::string Hdf5File::State::place(const std::string& name) const {
  return name.empty() ? path.string() : path.string() + ": '" + name + "'";
}

hid_t Hdf5File::State::array(const std::string& name) {
  const auto known = arrays.find(name);
  if (known != arrays.end()) {
    return known->second.id();
  }
  const Hdf5Handle access(H5Pcreate(H5P_DATASET_ACCESS), H5Pclose);
  H5Pset_elink_cb(access.id(), refuse_external_link, nullptr);
  Hdf5Handle opened(H5Dopen2(file.id(), name.c_str(), access.id()), H5Dclose);
  if (!opened.is_open()) {
    fail(name, "an array");
  }
  if (!lies_in_file(opened.id())) {
    throw InputError(place(name), "an array in this file", "one in other files");
  }
  return arrays.emplace(name, std::move(opened)).first->second.id();
}

void Hdf5File::State::make_groups(const std::string& name) {
  const Hdf5Handle create = make_hdf5_create_list(H5P_GROUP_CREATE);
  for (size_t end = name.find('/', 1); end != std::string::npos; end = name.find('/', end + 1)) {
    const auto group = name.substr(0, end);
    if (group.ends_with('/') || groups.contains(group)) {
      continue;
    }
    const Hdf5Handle made(
        H5Gcreate2(file.id(), group.c_str(), H5P_DEFAULT, create.id(), H5P_DEFAULT), H5Gclose);
    check(made.is_open(), name);
    groups.insert(group);
  }
}

Hdf5Info Hdf5File::State::array_info(const std::string& name) {
  const hid_t id = array(name);
  const Hdf5Handle stored_type(H5Dget_type(id), H5Tclose);
  const Hdf5Handle space(H5Dget_space(id), H5Sclose);
  const int axes = H5Sget_simple_extent_ndims(space.id());
  if (!stored_type.is_open() || axes < 0 || H5Sget_simple_extent_type(space.id()) == H5S_NULL) {
    fail(name, "an array");
  }
  Hdf5Info info;
  const auto* const row = std::find_if(kTypes.begin(), kTypes.end(), [&](Hdf5Type type) {
    return H5Tequal(stored_type.id(), make_hdf5_type(type).id()) > 0;
  });
  if (row == kTypes.end()) {
    throw InputError(place(name), "little-endian integers or floats", "another element type");
  }
  info.type = *row;
  std::vector<hsize_t> sizes(static_cast<size_t>(axes));
  H5Sget_simple_extent_dims(space.id(), sizes.data(), nullptr);
  info.shape.assign(sizes.begin(), sizes.end());  // sizes beyond int64 become negative
  const auto bytes = shape_bytes(info.shape, static_cast<int64_t>(hdf5_type_size(info.type)));
  if (!bytes) {
    throw InputError(place(name), "a size that fits in memory",
                     fmt::format("[{}]", fmt::join(sizes, ", ")));
  }
  info.bytes = *bytes;
  info.stored_bytes = static_cast<int64_t>(H5Dget_storage_size(id));
  const haddr_t offset = H5Dget_offset(id);  // HADDR_UNDEF if the array is in chunks
  if (offset != HADDR_UNDEF && std::in_range<int64_t>(offset)) {
    info.offset = static_cast<int64_t>(offset);
  }
  return info;
}

const Hdf5Rows& Hdf5File::State::rows(const std::string& name) {
  const std::lock_guard guard(rows_mutex);
  const auto known = rows_by_name.find(name);
  if (known != rows_by_name.end()) {
    return known->second;
  }
  const Hdf5Lock lock;
  Hdf5Rows rows{.info = array_info(name), .offsets = {}};
  if (!rows.info.shape.empty() && rows.info.shape.front() > 0) {
    rows.row_bytes = rows.info.bytes / rows.info.shape.front();
    rows.piece_rows = rows.info.shape.front();
    rows.offsets = rows.info.offset ? std::vector{*rows.info.offset}
                                    : chunk_offsets(array(name), rows.info, rows.piece_rows);
  }
  return rows_by_name.emplace(name, std::move(rows)).first->second;
}

std::vector<std::string> Hdf5File::State::list(const std::string& group) const {
  const Hdf5Handle handle(H5Gopen2(file.id(), group.c_str(), H5P_DEFAULT), H5Gclose);
  H5G_info_t info{};
  if (!handle.is_open() || H5Gget_info(handle.id(), &info) < 0) {
    fail(group, "a group");
  }
  std::vector<std::string> names;
  for (hsize_t index = 0; index < info.nlinks; ++index) {
    const auto length = H5Lget_name_by_idx(handle.id(), ".", H5_INDEX_NAME, H5_ITER_INC, index,
                                           nullptr, 0, H5P_DEFAULT);
    std::string name(static_cast<size_t>(std::max<ssize_t>(length, 0)), '\0');
    if (length < 0 || H5Lget_name_by_idx(handle.id(), ".", H5_INDEX_NAME, H5_ITER_INC, index,
                                         name.data(), name.size() + 1, H5P_DEFAULT) < 0) {
      fail(group, "a readable group");
    }
    names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end());
  return names;
}

void Hdf5File::State::write_text(const std::string& name, const std::string& text) {
  const Hdf5Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type.id(), text.size() + 1);
  H5Tset_cset(type.id(), H5T_CSET_UTF8);
  const Hdf5Handle space(H5Screate(H5S_SCALAR), H5Sclose);
  if (has_text(name)) {
    H5Adelete(file.id(), name.c_str());
  }
  const Hdf5Handle attribute(
      H5Acreate2(file.id(), name.c_str(), type.id(), space.id(), H5P_DEFAULT, H5P_DEFAULT),
      H5Aclose);
  check(attribute.is_open() && H5Awrite(attribute.id(), type.id(), text.c_str()) >= 0, name);
}

std::string Hdf5File::State::read_text(const std::string& name) const {
  const Hdf5Handle attribute(H5Aopen(file.id(), name.c_str(), H5P_DEFAULT), H5Aclose);
  const Hdf5Handle type(attribute.is_open() ? H5Aget_type(attribute.id()) : H5I_INVALID_HID,
                        H5Tclose);
  if (!type.is_open()) {
    fail(name, "a text attribute");
  }
  const Hdf5Handle space(H5Aget_space(attribute.id()), H5Sclose);
  const size_t size = H5Tget_size(type.id());
  hsize_t file_bytes = 0;
  H5Fget_filesize(file.id(), &file_bytes);
  if (H5Tget_class(type.id()) != H5T_STRING || H5Tis_variable_str(type.id()) > 0 ||
      H5Sget_simple_extent_npoints(space.id()) != 1 || size > file_bytes) {
    throw InputError(place(name), "one text of fixed length", "another attribute");
  }
  std::string text(size, '\0');
  if (H5Aread(attribute.id(), type.id(), text.data()) < 0) {
    fail(name, "a readable text");
  }
  return text.c_str();
}

bool Hdf5File::State::has_text(const std::string& name) const {
  return H5Aexists(file.id(), name.c_str()) > 0;
}

}  // namespace softmoe
