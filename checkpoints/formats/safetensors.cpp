#include "checkpoints/formats/safetensors.h"

#include <fmt/format.h>

#include <bit>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <set>

#include "checkpoints/formats/safetensors_header.h"
#include "checkpoints/formats/safetensors_index.h"
#include "core/error.h"
#include "core/json_text.h"
#include "io/atomic_file.h"
#include "io/file_error.h"
#include "io/mapped_file.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;

static_assert(std::endian::native == std::endian::little, "safetensors is little-endian");

constexpr int64_t kPrefixBytes = 8;
constexpr int64_t kDataAlignment = 64;

/// The claimed length of the header; nullopt if the file is too short for one.
std::optional<uint64_t> header_length(std::string_view bytes) {
  if (std::cmp_less(bytes.size(), kPrefixBytes)) {
    return std::nullopt;
  }
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof(length));
  return length;
}

Safetensors read_shard(const std::shared_ptr<MappedFile>& file, const fs::path& path) {
  const auto length = header_length(file->bytes());
  if (!length) {
    throw InputError(path.string(), "a safetensors file",
                     fmt::format("only {} bytes", file->size()));
  }
  if (std::cmp_greater(*length, kSafetensorsHeaderLimit)) {
    throw InputError(path.string(),
                     fmt::format("a header of at most {} bytes", kSafetensorsHeaderLimit),
                     fmt::format("{} bytes", *length));
  }
  const auto header_bytes = static_cast<int64_t>(*length);
  if (header_bytes > file->size() - kPrefixBytes) {
    throw InputError(path.string(),
                     fmt::format("a header within its {} bytes", file->size() - kPrefixBytes),
                     fmt::format("{} bytes", header_bytes));
  }
  const int64_t data_begin = kPrefixBytes + header_bytes;
  auto header = parse_safetensors_header(file->bytes().substr(kPrefixBytes, *length),
                                         file->size() - data_begin, path);
  Safetensors read;
  for (const auto& entry : header.entries) {
    read.tensors.emplace(entry.name,
                         mapped_tensor(file, data_begin + entry.begin, entry.shape, entry.dtype));
  }
  read.metadata = std::move(header.metadata);
  return read;
}

Safetensors read_shards(const MappedFile& index, const fs::path& path) {
  if (index.size() > kSafetensorsHeaderLimit) {
    throw InputError(path.string(),
                     fmt::format("an index of at most {} bytes", kSafetensorsHeaderLimit),
                     fmt::format("{} bytes", index.size()));
  }
  const auto files = parse_safetensors_index(index.bytes(), path);
  std::set<std::string> names;
  for (const auto& [tensor, name] : files) {
    names.insert(name);
  }
  Safetensors all;
  for (const auto& name : names) {
    const fs::path shard_path = path.parent_path() / name;
    auto shard = read_shard(MappedFile::open(shard_path), shard_path);
    for (auto& [tensor, value] : shard.tensors) {
      const auto wanted = files.find(tensor);
      if (wanted == files.end() || wanted->second != name) {
        const auto found = wanted == files.end() ? std::string("no such tensor")
                                                 : "it in " + printable_text(wanted->second);
        throw InputError(safetensors_place(shard_path, tensor), "the index to have it in this file",
                         found);
      }
      all.tensors.emplace(tensor, std::move(value));
    }
    if (name == *names.begin()) {
      all.metadata = std::move(shard.metadata);
    }
  }
  for (const auto& [tensor, name] : files) {
    if (!all.tensors.contains(tensor)) {
      throw InputError(safetensors_place(path, tensor), "it in " + printable_text(name),
                       "no such tensor there");
    }
  }
  return all;
}

/// Returns true for JSON text: its first 8 bytes, as a number, are far above any header's length.
bool looks_like_index(std::string_view bytes) {
  const auto length = header_length(bytes);
  const auto first = bytes.find_first_not_of(" \t\r\n");
  return (!length || std::cmp_greater(*length, kSafetensorsHeaderLimit)) &&
         first != std::string_view::npos && bytes[first] == '{';
}

/// The order of tensors in the file, which aligns each for its dtype.
std::vector<NamedTensors::const_iterator> file_order(const NamedTensors& tensors) {
  std::vector<NamedTensors::const_iterator> order;
  for (auto at = tensors.begin(); at != tensors.end(); ++at) {
    order.push_back(at);
  }
  std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return a->second.element_size() > b->second.element_size();
  });
  return order;
}

std::string header_text(const std::vector<NamedTensors::const_iterator>& order,
                        const SafetensorsMetadata& metadata) {
  Json header = Json::object();
  auto& pairs =
      header.get_ref<Json::object_t&>();  // appended to, as a lookup would search all of them
  if (!metadata.empty()) {
    pairs.emplace_back("__metadata__", metadata);
  }
  int64_t begin = 0;
  for (const auto& at : order) {
    const auto& [name, tensor] = *at;
    const auto dtype = safetensors_dtype_name(tensor.scalar_type());
    TORCH_CHECK_VALUE(!dtype.empty(), "write_safetensors: ", name, " has dtype ",
                      tensor.scalar_type());
    const int64_t end = begin + static_cast<int64_t>(tensor.nbytes());
    pairs.emplace_back(
        name,
        Json{{"dtype", dtype}, {"shape", tensor.sizes().vec()}, {"data_offsets", {begin, end}}});
    begin = end;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const Json::type_error& error) {
    TORCH_CHECK_VALUE(false, "write_safetensors: a name that is not UTF-8: ", error.what());
  }
  const auto unpadded = static_cast<int64_t>(text.size()) + kPrefixBytes;
  text.append(static_cast<size_t>((kDataAlignment - unpadded % kDataAlignment) % kDataAlignment),
              ' ');
  return text;
}

}  // namespace

Safetensors read_safetensors_file(const fs::path& path) {
  const auto file = MappedFile::open(path);
  return looks_like_index(file->bytes()) ? read_shards(*file, path) : read_shard(file, path);
}

NamedTensors read_safetensors(const fs::path& path) {
  return std::move(read_safetensors_file(path).tensors);
}

void write_safetensors(const fs::path& path, const NamedTensors& tensors,
                       const SafetensorsMetadata& metadata) {
  TORCH_CHECK_VALUE(!tensors.contains("__metadata__"),
                    "write_safetensors: a tensor is called '__metadata__'");
  const auto order = file_order(tensors);
  const std::string header = header_text(order, metadata);
  write_atomically(path, [&](const fs::path& temporary) {
    errno = 0;
    std::ofstream file(temporary, std::ios::binary);
    const auto length = static_cast<uint64_t>(header.size());
    file.write(reinterpret_cast<const char*>(&length), sizeof(length));
    file << header;
    for (const auto& at : order) {
      const auto plain = at->second.detach().to(torch::kCPU).contiguous();
      file.write(static_cast<const char*>(plain.const_data_ptr()),
                 static_cast<std::streamsize>(plain.nbytes()));
    }
    file.close();
    if (!file) {
      throw_write_error(path, errno);
    }
  });
}

}  // namespace softmoe
