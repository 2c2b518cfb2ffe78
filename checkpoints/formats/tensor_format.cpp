#include "checkpoints/formats/tensor_format.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <utility>

#include "checkpoints/formats/safetensors.h"
#include "core/error.h"
#include "io/mapped_file.h"
#include "io/zip_reader.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 2> kHdf5Extensions{".h5", ".hdf5"};
constexpr std::array<std::string_view, 1> kSafetensorsExtensions{".safetensors"};
constexpr std::array<std::string_view, 1> kNpzExtensions{".npz"};

constexpr std::array kRows{
    TensorFormatRow{.format = TensorFormat::kHdf5,
                    .name = "hdf5",
                    .title = "a native checkpoint",
                    .extensions = kHdf5Extensions},
    TensorFormatRow{.format = TensorFormat::kSafetensors,
                    .name = "safetensors",
                    .title = "safetensors",
                    .extensions = kSafetensorsExtensions,
                    .has_config_files = true},
    TensorFormatRow{.format = TensorFormat::kNpz,
                    .name = "npz",
                    .title = "npz",
                    .extensions = kNpzExtensions,
                    .usual_family = "vmoe"},
    TensorFormatRow{
        .format = TensorFormat::kTorch, .name = "torch", .title = "a file of torch.save"},
};

constexpr std::string_view kKnownFormats = "HDF5, safetensors, npz or a file of torch.save";
constexpr std::string_view kHdf5Magic = "\x89HDF\r\n\x1a\n";
constexpr std::array kModelFiles = {"model.safetensors", "model.safetensors.index.json",
                                    "pytorch_model.bin", "open_clip_model.safetensors",
                                    "open_clip_pytorch_model.bin"};

/// Files of peft, which hold what was trained beside a model.
constexpr std::array kAdapterFiles = {"adapter_model.safetensors", "adapter_model.bin"};

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
  const auto& members = archive.members();
  const auto has = [&members](std::string_view ending) {
    return std::any_of(members.begin(), members.end(),
                       [ending](const auto& member) { return member.first.ends_with(ending); });
  };
  if (has("/data.pkl")) {
    return TensorFormat::kTorch;
  }
  if (!has(".npy")) {
    throw InputError(path.string(), std::string(kKnownFormats), "a zip archive of other files");
  }
  return TensorFormat::kNpz;
}

/// Words for a file that is no container of tensors.
std::string other_content(std::string_view bytes) {
  constexpr size_t kFront = 512;
  const auto is_text = [](unsigned char letter) {
    return letter >= ' ' || (letter >= '\t' && letter <= '\r');
  };
  const auto front = bytes.substr(0, kFront);
  if (front.empty()) {
    return "an empty file";
  }
  constexpr size_t kTarMagicAt = 257;
  if (bytes.substr(std::min(kTarMagicAt, bytes.size())).starts_with("ustar")) {
    return "a tar archive: unpack it";
  }
  if (bytes.starts_with("\x1f\x8b")) {
    return "gzip data: unpack it";
  }
  return std::all_of(front.begin(), front.end(), is_text) ? "a text file" : "other data";
}

}  // namespace

std::span<const TensorFormatRow> tensor_formats() { return kRows; }

const TensorFormatRow& format_row(TensorFormat format) {
  return *std::find_if(kRows.begin(), kRows.end(),
                       [&](const TensorFormatRow& row) { return row.format == format; });
}

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
  for (const char* name : {"best.h5", "last.h5"}) {
    if (fs::exists(path / name, error)) {
      throw InputError(path.string(), "a model",
                       "the folder of a run: its model is " + (path / name).string());
    }
  }
  const bool is_adapter =
      std::any_of(kAdapterFiles.begin(), kAdapterFiles.end(),
                  [&](const char* name) { return fs::exists(path / name, error); });
  throw InputError(path.string(), "a folder with model.safetensors, its index or pytorch_model.bin",
                   is_adapter ? "a LoRA adapter alone: merge it into its model first, for example "
                                "by merge_and_unload() of peft"
                              : "none of them");
}

TensorFormat tensor_format(const fs::path& path) {
  const auto found = model_file(path);
  const auto file = MappedFile::open(found, ReadAhead::kNone);
  const auto bytes = file->bytes();
  const auto first = bytes.find_first_not_of(" \t\r\n");
  if (bytes.starts_with(kHdf5Magic)) {
    return TensorFormat::kHdf5;
  }
  if (bytes.starts_with("PK")) {
    return zip_format(found);
  }
  if (is_safetensors(bytes) || (first != std::string_view::npos && bytes[first] == '{')) {
    return TensorFormat::kSafetensors;
  }
  if (bytes.starts_with('\x80')) {  // the first byte of a pickle of protocol 2 or later
    return TensorFormat::kTorch;
  }
  throw InputError(found.string(), std::string(kKnownFormats), other_content(bytes));
}

}  // namespace softmoe
