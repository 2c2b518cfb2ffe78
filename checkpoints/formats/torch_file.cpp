#include "checkpoints/formats/torch_file.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>

#include "checkpoints/formats/torch_tensors.h"
#include "core/error.h"
#include "io/file_error.h"
#include "io/mapped_file.h"
#include "io/zip_reader.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;

static_assert(std::endian::native == std::endian::little, "torch.save writes the machine's order");

constexpr std::string_view kPickleMember = "/data.pkl";
/// The number that begins a legacy file: 0x1950a86a20f9469cfc6c, little-endian.
constexpr std::string_view kLegacyMagic("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 10);
constexpr int64_t kLegacyVersion = 1001;

// --- Zip ---

/// The bytes of a member that is not compressed.
std::string read_member(const ZipReader& archive, const std::string& name) {
  std::string bytes(static_cast<size_t>(archive.members().at(name).bytes), '\0');
  auto stream = archive.open(name);
  stream.read(bytes.data(), static_cast<int64_t>(bytes.size()));
  stream.expect_end();
  return bytes;
}

/// The folder in the archive that holds everything: "archive" or the file's first name.
std::string find_folder(const ZipReader& archive) {
  std::string folder;
  for (const auto& [name, member] : archive.members()) {
    if (name.ends_with("/constants.pkl")) {
      throw InputError(archive.path().string(), "a state dict", "a TorchScript archive");
    }
  }
  for (const auto& [name, member] : archive.members()) {
    if (!member.is_stored || member.bytes != member.packed_bytes) {
      throw InputError(archive.place(name), "data as it is, as torch.save writes it",
                       "compressed data");
    }
    const auto slash = name.find('/');
    if (slash != std::string::npos && std::string_view(name).substr(slash) == kPickleMember) {
      if (!folder.empty()) {
        throw InputError(archive.path().string(), "one file of torch.save", "two in one archive");
      }
      folder = name.substr(0, slash);
    }
  }
  if (folder.empty()) {
    throw InputError(archive.path().string(), "a file of torch.save", "another zip archive");
  }
  return folder;
}

void check_byte_order(const ZipReader& archive, const std::string& folder) {
  const std::string order = folder + "/byteorder";
  if (archive.members().contains(order) && read_member(archive, order) != "little") {
    throw InputError(archive.place(order), "little", "another byte order");
  }
}

torch::Tensor read_storage(const ZipReader& archive, const std::string& name,
                           const StorageClaim& claim) {
  const auto member = archive.members().find(name);
  if (member == archive.members().end()) {
    throw InputError(archive.path().string(), "a member '" + printable_text(name) + "'", "none");
  }
  const int64_t bytes = claim.elements * claim.item_bytes();
  if (member->second.bytes != bytes) {
    throw InputError(archive.place(name), fmt::format("{} bytes", bytes),
                     fmt::format("{}", member->second.bytes));
  }
  const bool is_bool = claim.dtype == torch::kBool;
  auto storage = torch::empty({claim.elements}, is_bool ? torch::kUInt8 : claim.dtype);
  auto stream = archive.open(name);
  stream.read(storage.data_ptr(), bytes);
  stream.expect_end();
  return is_bool ? storage.ne(0) : storage;
}

TorchFile read_zip(const fs::path& path) {
  const ZipReader archive(path, {.archive = "a file of torch.save"});
  const std::string folder = find_folder(archive);
  check_byte_order(archive, folder);
  const std::string name = folder + std::string(kPickleMember);
  const std::string bytes = read_member(archive, name);
  const std::string where = archive.place(name);
  const Pickle pickle = read_pickle(bytes, where);
  const int64_t file_bytes = file_length(path);
  const auto claims = storage_claims(pickle, file_bytes, where);
  NamedTensors storages;
  const auto storage_of_key = [&](const std::string& key) {
    auto& storage = storages[key];
    if (!storage.defined()) {
      storage = read_storage(archive, folder + "/data/" + key, claims.at(key));
    }
    return storage;
  };
  return torch_tensors(pickle, storage_of_key, path.string());
}

// --- Legacy: pickles of a magic number, a version, the machine, the object and the keys of its
// storages, and then the storages, each after its number of elements ---

/// Reads the file from one pickle to the next.
class LegacyFile {
 public:
  explicit LegacyFile(const fs::path& path)
      : path_(path.string()), file_(MappedFile::open(path)), left_(file_->bytes()) {}

  TorchFile read() {
    check_front();
    const Pickle object = next_pickle();
    const Pickle keys = next_pickle();
    const auto claims = storage_claims(object, static_cast<int64_t>(left_.size()), path_);
    NamedTensors storages;
    for (const uint32_t item : keys.at(keys.root).items) {
      const std::string key(keys.at(item).text);
      const auto claim = claims.find(key);
      if (claim == claims.end() || storages.contains(key)) {
        throw InputError(path_, "the storages of its tensors, once each",
                         "storage '" + printable_text(key) + "'");
      }
      storages.emplace(key, next_storage(key, claim->second));
    }
    for (const auto& [key, claim] : claims) {
      if (!storages.contains(key)) {
        throw InputError(path_, "a storage '" + printable_text(key) + "'", "none");
      }
    }
    return torch_tensors(
        object, [&](const std::string& key) { return storages.at(key); }, path_);
  }

 private:
  Pickle next_pickle() {
    Pickle pickle = read_pickle(left_, path_);
    left_.remove_prefix(pickle.bytes);
    return pickle;
  }

  void check_front() {
    const Pickle magic = next_pickle();
    if (magic.at(magic.root).kind != PickleKind::kBytes ||
        magic.at(magic.root).text != kLegacyMagic) {
      throw InputError(path_, "a file of torch.save", "another pickle");
    }
    const Pickle version = next_pickle();
    if (version.at(version.root).kind != PickleKind::kInteger ||
        version.at(version.root).integer != kLegacyVersion) {
      throw InputError(path_, fmt::format("version {} of torch.save", kLegacyVersion), "another");
    }
    const Pickle machine = next_pickle();
    const auto& facts = machine.at(machine.root);
    for (size_t i = 0; facts.kind == PickleKind::kDict && i < facts.items.size(); i += 2) {
      if (machine.at(facts.items[i]).text == "little_endian" &&
          machine.at(facts.items[i + 1]).integer == 0) {
        throw InputError(path_, "a little-endian file", "a big-endian one");
      }
    }
  }

  torch::Tensor next_storage(const std::string& key, const StorageClaim& claim) {
    int64_t elements = 0;
    const std::string where = fmt::format("{}: storage '{}'", path_, printable_text(key));
    if (left_.size() < sizeof(elements)) {
      throw InputError(where, "its length", "the end of the file");
    }
    std::memcpy(&elements, left_.data(), sizeof(elements));
    left_.remove_prefix(sizeof(elements));
    if (elements != claim.elements) {
      throw InputError(where, fmt::format("{} elements", claim.elements), std::to_string(elements));
    }
    const auto bytes = static_cast<size_t>(elements * claim.item_bytes());
    if (bytes > left_.size()) {
      throw InputError(where, fmt::format("{} bytes", bytes),
                       fmt::format("the end of the file after {}", left_.size()));
    }
    const auto offset = left_.data() - file_->data();
    left_.remove_prefix(bytes);
    return mapped_tensor(file_, offset, {elements}, claim.dtype);
  }

  std::string path_;
  std::shared_ptr<MappedFile> file_;
  std::string_view left_;  ///< not read yet
};

bool is_zip(const fs::path& path) {
  return MappedFile::open(path, ReadAhead::kNone)->bytes().starts_with("PK");
}

}  // namespace

TorchFile read_torch_file(const fs::path& path) {
  return is_zip(path) ? read_zip(path) : LegacyFile(path).read();
}

}  // namespace softmoe
