#include "io/npz.h"

#include <fmt/format.h>

#include <array>
#include <list>

#include "core/error.h"
#include "core/name_list.h"
#include "io/atomic_file.h"
#include "io/file_error.h"
#include "io/npy_header.h"
#include "io/zip_handle.h"
#include "io/zip_reader.h"
#include "runtime/memory/memory_use.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSuffix = ".npy";
const ZipWords kWords{.archive = "an .npz file", .member = "array", .suffix = kSuffix};

/// Refuses to unpack more than the memory that is available: a small file can hold that much.
void check_memory(const ZipReader& archive, const std::vector<std::string>& names) {
  const auto available = available_memory_bytes(torch::kCPU);
  int64_t bytes = 0;
  for (const auto& name : names) {
    if (__builtin_add_overflow(bytes, archive.members().at(name).bytes, &bytes) ||
        bytes > available) {
      throw InputError(
          archive.path().string(),
          fmt::format("arrays that fit in the {} MB of memory available", available / 1'000'000),
          "more");
    }
  }
}

torch::Tensor read_array(const ZipReader& archive, const std::string& name) {
  const std::string where = archive.place(name);
  ZipStream file = archive.open(name);
  std::string text(static_cast<size_t>(kNpyPrefixBytes), '\0');
  file.read(text.data(), kNpyPrefixBytes);
  text.resize(static_cast<size_t>(npy_header_bytes(text, where)));
  file.read(text.data() + kNpyPrefixBytes, static_cast<int64_t>(text.size()) - kNpyPrefixBytes);
  const NpyHeader header = parse_npy_header(text, where);
  const int64_t data_bytes = archive.members().at(name).bytes - header.header_bytes;
  if (data_bytes != header.data_bytes) {
    throw InputError(where, fmt::format("{} bytes of data by its shape", header.data_bytes),
                     fmt::format("{}", data_bytes));
  }
  std::vector<int64_t> stored_shape = header.shape;
  if (header.fortran_order) {
    std::reverse(stored_shape.begin(), stored_shape.end());
  }
  // A byte other than 0 and 1 is no bool in C++, so bools come in as numbers.
  const bool is_bool = header.dtype == torch::kBool;
  auto array = torch::empty(stored_shape, is_bool ? torch::kUInt8 : header.dtype);
  file.read(array.data_ptr(), header.data_bytes);
  file.expect_end();
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

NamedTensors read_arrays(const ZipReader& archive, const std::vector<std::string>& names) {
  check_memory(archive, names);
  NamedTensors arrays;
  for (const auto& name : names) {
    arrays[name] = read_array(archive, name);
  }
  return arrays;
}

template <typename Map>
std::string listed_names(const Map& map) {
  constexpr size_t kShown = 20;
  std::vector<std::string> names;
  for (const auto& [name, value] : map) {
    names.push_back(name);
  }
  return names.empty() ? "no arrays" : name_list(names, kShown);
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
    throw_write_error(path, zip_error_text(&error));
  }
  const std::string member = name + std::string(kSuffix);
  const zip_int64_t index = zip_file_add(archive, member.c_str(), source, ZIP_FL_ENC_UTF_8);
  if (index < 0) {
    zip_source_free(source);
    throw_write_error(path, zip_error_text(zip_get_error(archive)));
  }
  const auto position = static_cast<zip_uint64_t>(index);
  constexpr zip_uint16_t kFirstDay =
      (1 << 5) | 1;  // 1 January 1980, the first day of zip's calendar
  if (zip_set_file_compression(archive, position, ZIP_CM_STORE, 0) != 0 ||
      zip_file_set_dostime(archive, position, 0, kFirstDay, 0) != 0) {
    throw_write_error(path, zip_error_text(zip_get_error(archive)));
  }
}

}  // namespace

NamedTensors read_npz(const fs::path& path) {
  const ZipReader archive(path, kWords);
  std::vector<std::string> names;
  for (const auto& [name, member] : archive.members()) {
    names.push_back(name);
  }
  return read_arrays(archive, names);
}

NamedTensors read_npz(const fs::path& path, const std::vector<std::string>& names) {
  const ZipReader archive(path, kWords);
  for (const auto& name : names) {
    if (!archive.members().contains(name)) {
      throw InputError(path.string(), "an array '" + name + "'", listed_names(archive.members()));
    }
  }
  return read_arrays(archive, names);
}

const torch::Tensor& npz_array(const NamedTensors& arrays, const std::string& name,
                               const fs::path& path) {
  const auto found = arrays.find(name);
  if (found == arrays.end()) {
    throw InputError(path.string(), "an array '" + name + "'", listed_names(arrays));
  }
  return found->second;
}

std::string npz_comment(const fs::path& path) { return ZipReader(path, kWords).comment(); }

void write_npz(const fs::path& path, const NamedTensors& arrays, const std::string& comment) {
  TORCH_CHECK_VALUE(!arrays.empty(), "write_npz: no arrays for ", path.string());
  TORCH_CHECK_VALUE(comment.size() <= kNpzCommentLimit, "write_npz: a comment of ", comment.size(),
                    " bytes for ", path.string());
  write_atomically(path, [&](const fs::path& temporary) {
    std::list<std::string> headers;
    std::list<torch::Tensor> contiguous;
    ZipHandle archive = open_zip(temporary, ZIP_CREATE | ZIP_TRUNCATE, kWords.archive);
    for (const auto& [name, array] : arrays) {
      contiguous.push_back(array.detach().cpu().contiguous());
      headers.push_back(make_npy_header(array.scalar_type(), array.sizes()));
      add_array(archive.get(), name, headers.back(), contiguous.back(), path);
    }
    const auto comment_bytes = static_cast<zip_uint16_t>(comment.size());
    if (!comment.empty() &&
        zip_set_archive_comment(archive.get(), comment.c_str(), comment_bytes) != 0) {
      throw_write_error(path, zip_error_text(zip_get_error(archive.get())));
    }
    if (zip_close(archive.get()) != 0) {
      throw_write_error(path, zip_error_text(zip_get_error(archive.get())));
    }
    static_cast<void>(archive.release());
  });
}

}  // namespace softmoe
