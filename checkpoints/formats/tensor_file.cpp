#include "checkpoints/formats/tensor_file.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "checkpoints/checkpoint.h"
#include "checkpoints/formats/torch_file.h"
#include "core/error.h"
#include "io/bounded_json.h"
#include "io/mapped_file.h"
#include "io/npz.h"
#include "io/zip_reader.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kHdf5Magic = "\x89HDF\r\n\x1a\n";
constexpr std::array kModelFiles = {"model.safetensors", "model.safetensors.index.json",
                                    "pytorch_model.bin"};

/// The file that a folder stands for; a file stands for itself.
fs::path model_file(const fs::path& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    return path;
  }
  for (const char* name : kModelFiles) {
    if (fs::exists(path / name, error)) {
      return path / name;
    }
  }
  throw InputError(path.string(), "a folder with model.safetensors, its index or pytorch_model.bin",
                   "none of them");
}

bool is_safetensors(std::string_view bytes) {
  uint64_t length = 0;
  if (bytes.size() <= sizeof(length)) {
    return false;
  }
  std::memcpy(&length, bytes.data(), sizeof(length));
  return std::cmp_less_equal(length, kSafetensorsHeaderLimit) && bytes[sizeof(length)] == '{';
}

TensorFormat zip_format(const fs::path& path) {
  const ZipReader archive(path, {});
  for (const auto& [name, member] : archive.members()) {
    if (name.ends_with("/data.pkl")) {
      return TensorFormat::kTorch;
    }
  }
  return TensorFormat::kNpz;
}

/// What a file is that is no container of tensors.
std::string other_content(std::string_view bytes) {
  constexpr size_t kFront = 512;
  const auto is_text = [](unsigned char letter) {
    return letter >= ' ' || (letter >= '\t' && letter <= '\r');
  };
  const auto front = bytes.substr(0, kFront);
  if (front.empty()) {
    return "an empty file";
  }
  return std::all_of(front.begin(), front.end(), is_text) ? "a text file" : "other data";
}

TensorFormat file_format(const fs::path& path) {
  const auto file = MappedFile::open(path, ReadAhead::kNone);
  const auto bytes = file->bytes();
  const auto first = bytes.find_first_not_of(" \t\r\n");
  if (bytes.starts_with(kHdf5Magic)) {
    return TensorFormat::kHdf5;
  }
  if (bytes.starts_with("PK")) {
    return zip_format(path);
  }
  if (is_safetensors(bytes) || (first != std::string_view::npos && bytes[first] == '{')) {
    return TensorFormat::kSafetensors;
  }
  if (bytes.starts_with('\x80')) {  // how a pickle of protocol 2 or later begins
    return TensorFormat::kTorch;
  }
  throw InputError(path.string(), "HDF5, safetensors, npz or a file of torch.save",
                   other_content(bytes));
}

Json config_beside(const fs::path& path) {
  const fs::path config = path.parent_path() / "config.json";
  std::error_code error;
  if (!fs::is_regular_file(config, error)) {
    return nullptr;
  }
  const auto file = MappedFile::open(config);
  auto value = parse_sorted_json(file->bytes(), config.string());
  if (!value.is_object()) {
    throw InputError(config.string(), "a JSON object", value.type_name());
  }
  return value;
}

}  // namespace

std::string_view tensor_format_name(TensorFormat format) {
  switch (format) {
    case TensorFormat::kHdf5:
      return "a native checkpoint";
    case TensorFormat::kSafetensors:
      return "safetensors";
    case TensorFormat::kNpz:
      return "npz";
    case TensorFormat::kTorch:
      return "a file of torch.save";
  }
  return "?";
}

TensorFormat tensor_format(const fs::path& path) { return file_format(model_file(path)); }

TensorFile read_tensor_file(const fs::path& given) {
  TensorFile file{.path = model_file(given)};
  file.format = file_format(file.path);
  if (file.format == TensorFormat::kHdf5) {
    auto checkpoint = load_checkpoint(file.path, {.optimizer = false, .ema = false});
    file.tensors = std::move(checkpoint.model);
    file.config = std::move(checkpoint.metadata);
    return file;
  }
  file.config = config_beside(file.path);
  if (file.format == TensorFormat::kSafetensors) {
    auto read = read_safetensors_file(file.path);
    file.tensors = std::move(read.tensors);
    file.metadata = std::move(read.metadata);
  } else {
    file.tensors =
        file.format == TensorFormat::kNpz ? read_npz(file.path) : read_torch_file(file.path);
  }
  return file;
}

}  // namespace softmoe
