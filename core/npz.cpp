#include "core/npz.h"

#include <fmt/format.h>
#include <zip.h>

#include <array>
#include <cerrno>
#include <list>
#include <memory>
#include <utility>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/npy_header.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSuffix = ".npy";
/// No deflate stream grows by more than this (a run of 258 bytes in two bits).
constexpr int64_t kMaxDeflateRatio = 1032;

struct DiscardZip {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
struct CloseZipFile {
  void operator()(zip_file_t* file) const { zip_fclose(file); }
};
using ZipArchive = std::unique_ptr<zip_t, DiscardZip>;
using ZipFile = std::unique_ptr<zip_file_t, CloseZipFile>;

/// Where one array lies in an archive; sizes as the archive's directory claims them.
struct Entry {
  zip_uint64_t index = 0;
  int64_t bytes = 0;
  int64_t packed_bytes = 0;
};
using Entries = std::map<std::string, Entry>;

/// The system's words where it failed, else libzip's.
std::string zip_error_text(zip_error_t* error) {
  if (zip_error_system_type(error) == ZIP_ET_SYS && zip_error_code_system(error) != 0) {
    return system_error_text(zip_error_code_system(error));
  }
  return zip_error_strerror(error);
}

ZipArchive open_archive(const fs::path& path, int flags) {
  int code = 0;
  ZipArchive archive(zip_open(path.c_str(), flags, &code));
  if (archive == nullptr) {
    const int system_code = errno;
    if (code == ZIP_ER_NOENT || code == ZIP_ER_OPEN || code == ZIP_ER_READ) {
      throw InputError(((flags & ZIP_CREATE) != 0 ? "cannot write " : "cannot read ") +
                       path.string() + ": " +
                       system_error_text(code == ZIP_ER_NOENT ? ENOENT : system_code));
    }
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    const std::string found = zip_error_strerror(&error);
    zip_error_fini(&error);
    throw InputError(path.string(), "an .npz file", fs::is_directory(path) ? "a folder" : found);
  }
  return archive;
}

std::string array_place(const fs::path& path, const std::string& name) {
  return path.string() + ": array '" + name + "'";
}

/// The arrays of an archive. Rejects sizes that no honest archive of that length can have.
Entries list_entries(zip_t* archive, const fs::path& path) {
  const auto file_bytes = static_cast<int64_t>(fs::file_size(path));
  int64_t packed_total = 0;
  Entries entries;
  const zip_int64_t count = zip_get_num_entries(archive, 0);
  for (zip_uint64_t index = 0; std::cmp_less(index, count); ++index) {
    zip_stat_t stat;
    constexpr zip_uint64_t kNeeded = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE;
    if (zip_stat_index(archive, index, 0, &stat) != 0 || (stat.valid & kNeeded) != kNeeded) {
      throw InputError(path.string(), "an .npz file", "a damaged directory");
    }
    std::string name = stat.name;
    if (!name.ends_with(kSuffix)) {
      continue;  // NumPy takes no array from such a member either
    }
    name.resize(name.size() - kSuffix.size());
    const auto bytes = static_cast<int64_t>(stat.size);
    const auto packed = static_cast<int64_t>(stat.comp_size);
    if (packed < 0 || packed > file_bytes - packed_total || bytes < 0 ||
        bytes / kMaxDeflateRatio > packed) {
      throw InputError(array_place(path, name), "a length that fits the file",
                       fmt::format("{} bytes packed in {}", stat.size, stat.comp_size));
    }
    packed_total += packed;
    if (!entries.emplace(name, Entry{index, bytes, packed}).second) {
      throw InputError(array_place(path, name), "one array of a name", "two");
    }
  }
  return entries;
}

void read_exactly(zip_file_t* file, void* data, int64_t bytes, const std::string& where) {
  auto* out = static_cast<char*>(data);
  while (bytes > 0) {
    const zip_int64_t got = zip_fread(file, out, static_cast<zip_uint64_t>(bytes));
    if (got <= 0) {
      throw InputError(where, fmt::format("{} more bytes", bytes),
                       got == 0 ? "the end of the data" : zip_error_text(zip_file_get_error(file)));
    }
    out += got;
    bytes -= got;
  }
}

/// Reading past the end makes libzip compare the checksum.
void expect_end(zip_file_t* file, const std::string& where) {
  char byte = 0;
  const zip_int64_t got = zip_fread(file, &byte, 1);
  if (got != 0) {
    throw InputError(where, "the end of the data",
                     got > 0 ? "more data" : zip_error_text(zip_file_get_error(file)));
  }
}

torch::Tensor read_array(zip_t* archive, const Entry& entry, const std::string& where) {
  const ZipFile file(zip_fopen_index(archive, entry.index, 0));
  if (file == nullptr) {
    throw InputError(where, "a readable array", zip_error_text(zip_get_error(archive)));
  }
  std::string text(static_cast<size_t>(kNpyPrefixBytes), '\0');
  read_exactly(file.get(), text.data(), kNpyPrefixBytes, where);
  text.resize(static_cast<size_t>(npy_header_bytes(text, where)));
  read_exactly(file.get(), text.data() + kNpyPrefixBytes,
               static_cast<int64_t>(text.size()) - kNpyPrefixBytes, where);
  const NpyHeader header = parse_npy_header(text, where);
  if (entry.bytes - header.header_bytes != header.data_bytes) {
    throw InputError(where, fmt::format("{} bytes of data by its shape", header.data_bytes),
                     fmt::format("{}", entry.bytes - header.header_bytes));
  }
  std::vector<int64_t> stored_shape = header.shape;
  if (header.fortran_order) {
    std::reverse(stored_shape.begin(), stored_shape.end());
  }
  // A byte other than 0 and 1 is no bool in C++, so bools come in as numbers.
  const bool is_bool = header.dtype == torch::kBool;
  auto array = torch::empty(stored_shape, is_bool ? torch::kUInt8 : header.dtype);
  read_exactly(file.get(), array.data_ptr(), header.data_bytes, where);
  expect_end(file.get(), where);
  if (is_bool) {
    array = array.ne(0);
  }
  if (header.fortran_order) {
    std::vector<int64_t> axes(stored_shape.size());
    for (size_t axis = 0; axis < axes.size(); ++axis) {
      axes[axis] = static_cast<int64_t>(axes.size() - 1 - axis);
    }
    array = array.permute(axes).contiguous();
  }
  return array;
}

template <typename Map>
std::string listed_names(const Map& map) {
  constexpr size_t kShown = 20;
  std::string names;
  size_t shown = 0;
  for (const auto& [name, value] : map) {
    if (shown++ == kShown) {
      return names + fmt::format(" and {} more", map.size() - kShown);
    }
    names += (names.empty() ? "" : ", ") + name;
  }
  return names.empty() ? "no arrays" : names;
}

void throw_write_error(const fs::path& path, zip_error_t* error) {
  throw InputError("cannot write " + path.string() + ": " + zip_error_text(error));
}

/// Adds an array to an archive, which refers to `header` and `array` until it is closed.
void add_array(zip_t* archive, const std::string& name, const std::string& header,
               const torch::Tensor& array, const fs::path& path) {
  const std::array<zip_buffer_fragment_t, 2> parts{
      zip_buffer_fragment_t{reinterpret_cast<zip_uint8_t*>(const_cast<char*>(header.data())),
                            header.size()},
      zip_buffer_fragment_t{static_cast<zip_uint8_t*>(array.data_ptr()), array.nbytes()}};
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* source = zip_source_buffer_fragment_create(
      parts.data(), array.nbytes() == 0 ? 1 : parts.size(), /*freep=*/0, &error);
  if (source == nullptr) {
    throw_write_error(path, &error);
  }
  const std::string member = name + std::string(kSuffix);
  const zip_int64_t index = zip_file_add(archive, member.c_str(), source, ZIP_FL_ENC_UTF_8);
  if (index < 0) {
    zip_source_free(source);
    throw_write_error(path, zip_get_error(archive));
  }
  const auto position = static_cast<zip_uint64_t>(index);
  constexpr zip_uint16_t kFirstDay = (1 << 5) | 1;  // 1 January 1980, where zip's calendar begins
  if (zip_set_file_compression(archive, position, ZIP_CM_STORE, 0) != 0 ||
      zip_file_set_dostime(archive, position, 0, kFirstDay, 0) != 0) {
    throw_write_error(path, zip_get_error(archive));
  }
}

}  // namespace

NamedTensors read_npz(const fs::path& path) {
  const ZipArchive archive = open_archive(path, ZIP_RDONLY);
  NamedTensors arrays;
  for (const auto& [name, entry] : list_entries(archive.get(), path)) {
    arrays[name] = read_array(archive.get(), entry, array_place(path, name));
  }
  return arrays;
}

NamedTensors read_npz(const fs::path& path, const std::vector<std::string>& names) {
  const ZipArchive archive = open_archive(path, ZIP_RDONLY);
  const Entries entries = list_entries(archive.get(), path);
  NamedTensors arrays;
  for (const auto& name : names) {
    const auto entry = entries.find(name);
    if (entry == entries.end()) {
      throw InputError(path.string(), "an array '" + name + "'", listed_names(entries));
    }
    arrays[name] = read_array(archive.get(), entry->second, array_place(path, name));
  }
  return arrays;
}

const torch::Tensor& npz_array(const NamedTensors& arrays, const std::string& name,
                               const fs::path& path) {
  const auto found = arrays.find(name);
  if (found == arrays.end()) {
    throw InputError(path.string(), "an array '" + name + "'", listed_names(arrays));
  }
  return found->second;
}

void write_npz(const fs::path& path, const NamedTensors& arrays) {
  TORCH_CHECK_VALUE(!arrays.empty(), "write_npz: no arrays for ", path.string());
  write_atomically(path, [&](const fs::path& temporary) {
    std::list<std::string> headers;
    std::list<torch::Tensor> contiguous;
    ZipArchive archive = open_archive(temporary, ZIP_CREATE | ZIP_TRUNCATE);
    for (const auto& [name, array] : arrays) {
      contiguous.push_back(array.detach().cpu().contiguous());
      headers.push_back(make_npy_header(array.scalar_type(), array.sizes()));
      add_array(archive.get(), name, headers.back(), contiguous.back(), path);
    }
    if (zip_close(archive.get()) != 0) {
      throw_write_error(path, zip_get_error(archive.get()));
    }
    static_cast<void>(archive.release());
  });
}

}  // namespace softmoe
