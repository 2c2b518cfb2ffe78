#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "checkpoints/checkpoint.h"
#include "checkpoints/formats/safetensors.h"
#include "checkpoints/formats/torch_file.h"
#include "fuzz/format_lists.h"
#include "io/hdf5.h"
#include "io/npz.h"
#include "support/zip_bytes.h"

namespace softmoe::fuzz {
namespace {

namespace fs = std::filesystem;

using test::little_endian;
using test::zip_bytes;

std::string fixture_text(const std::string& name) {
  return file_text(fs::path(SOFTMOE_FIXTURES) / "formats" / name);
}

NamedTensors small_tensors() {
  return {{"blocks.0.weight", torch::arange(12, torch::kFloat32).view({3, 4})},
          {"half", torch::ones({5}).to(torch::kBFloat16)},
          {"mask", torch::tensor({true, false})},
          {"scalar", torch::tensor(int64_t{7})}};
}

/// Touches every element, as a user of the tensors would.
void use(const NamedTensors& tensors) {
  for (const auto& [name, tensor] : tensors) {
    static_cast<void>(tensor.clone());
  }
}

// --- safetensors ---

constexpr size_t kHeaderData = 24;  ///< bytes of data behind a header that is damaged alone

std::vector<std::string> safetensors_seeds() {
  return {fixture_text("every_dtype.safetensors"), written([](const fs::path& path) {
            write_safetensors(path, small_tensors(), {{"a", "b"}});
          })};
}

std::vector<std::string> safetensors_headers() {
  return {
      R"({"x":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}})",
      R"({"__metadata__":{"a":"b"},"x":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},)"
      R"("y":{"dtype":"BF16","shape":[2,2,2],"data_offsets":[8,24]}})",
  };
}

void write_safetensors_header(const std::string& header, const fs::path& path) {
  write_bytes(little_endian(header.size(), 8) + header + std::string(kHeaderData, 'x'), path);
}

// --- Index of shards ---

void prepare_shards(const fs::path& folder) {
  write_safetensors(folder / "a.safetensors", {{"x", torch::arange(3)}, {"y", torch::ones({2})}});
  write_safetensors(folder / "b.safetensors", {{"z", torch::zeros({2, 2})}});
}

std::vector<std::string> index_seeds() {
  return {R"({"metadata": {"total_size": 48, "more": [1.5, null, true, {"a": "b"}]},)"
          "\n"
          R"( "weight_map": {"x": "a.safetensors", "y": "a.safetensors", "z": "b.safetensors"}})"};
}

// --- npz ---

std::vector<std::string> npz_seeds() {
  return {fixture_text("every_dtype.npz"),
          written([](const fs::path& path) { write_npz(path, small_tensors()); })};
}

std::vector<std::string> npy_seeds() {
  const auto npy = [](const std::string& dictionary, const std::string& data) {
    return std::string("\x93NUMPY\x01\x00", 8) + little_endian(dictionary.size(), 2) + dictionary +
           data;
  };
  return {
      npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", std::string(24, 'x')),
      npy("{'descr': '|b1', 'fortran_order': True, 'shape': (3, 2)}", std::string(6, '\x01')),
      npy("{'descr': '|V2', 'fortran_order': False, 'shape': ()}", "ab")};
}

void write_npy_in_zip(const std::string& npy, const fs::path& path) {
  write_bytes(zip_bytes({{"x.npy", npy}}), path);
}

// --- torch.save ---

std::vector<std::string> torch_zip_seeds() {
  return {fixture_text("every_dtype.pt"), fixture_text("training.pt"),
          fixture_text("training_protocol4.pt")};
}

/// The bytes of a member that is stored as it is.
std::string stored_member(const std::string& archive, const std::string& suffix) {
  size_t at = 0;
  while ((at = archive.find("PK\x03\x04", at)) != std::string::npos) {
    uint16_t name_length = 0;
    uint16_t extra_length = 0;
    uint32_t data_length = 0;
    std::memcpy(&data_length, archive.data() + at + 18, sizeof(data_length));
    std::memcpy(&name_length, archive.data() + at + 26, sizeof(name_length));
    std::memcpy(&extra_length, archive.data() + at + 28, sizeof(extra_length));
    const size_t data = at + 30 + name_length + extra_length;
    if (archive.substr(at + 30, name_length).ends_with(suffix)) {
      // A length of 0 or ~0 stands elsewhere; the pickle ends at the next header then.
      const bool is_here = data_length != 0 && data_length != ~0U;
      return archive.substr(data, is_here ? data_length : archive.find("PK", data) - data);
    }
    at = data;
  }
  throw std::runtime_error("no member " + suffix);
}

std::vector<std::string> torch_pickle_seeds() {
  std::vector<std::string> pickles;
  for (const char* file : {"training.pt", "training_protocol4.pt"}) {
    pickles.push_back(stored_member(fixture_text(file), "/data.pkl"));
  }
  return pickles;
}

/// Storages of the lengths in training.pt, so that pickles of its kind meet their data.
void write_pickle_in_zip(const std::string& pickle, const fs::path& path) {
  std::vector<std::pair<std::string, std::string>> members{{"a/data.pkl", pickle},
                                                           {"a/byteorder", "little"}};
  size_t number = 0;
  for (const size_t bytes : {96, 20, 32, 48, 12, 4, 20, 16, 8}) {
    members.emplace_back("a/data/" + std::to_string(number++), std::string(bytes, 'x'));
  }
  write_bytes(zip_bytes(members), path);
}

std::vector<std::string> torch_legacy_seeds() {
  return {fixture_text("every_dtype_legacy.pth"), fixture_text("training_legacy.pth")};
}

// --- HDF5 ---

std::vector<std::string> hdf5_seeds() {
  return {written([](const fs::path& path) {
    save_checkpoint(path, {.metadata = {{"model", {{"dim", 64}}}, {"classes", {"a", "b"}}},
                           .model = small_tensors(),
                           .optimizer = {{"half", torch::zeros({2})}}});
  })};
}

std::string float_checksum() {
  const std::vector<float> data(6, 1.0F);
  return fmt::format("{:016x}", XXH3_64bits(data.data(), data.size() * sizeof(float)));
}

std::vector<std::string> hdf5_descriptions() {
  return {
      "{\"model\": {\"dim\": 64}, \"classes\": [\"a\"]}\n{\"model/x\": {\"dtype\": \"float32\", "
      "\"xxh3\": \"" +
      float_checksum() + "\"}}"};
}

/// A checkpoint of one array 'model/x' and a description whose checksum is right.
void write_hdf5_description(const std::string& description, const fs::path& path) {
  const std::vector<float> data(6, 1.0F);
  auto file = Hdf5File::create(path, path);
  file.write("/model/x", Hdf5Type::kFloat32, {2, 3}, data.data());
  const auto line = std::min(description.find('\n'), description.size());
  // A text ends at its first zero byte, for the reader too.
  const std::string metadata = description.substr(0, line).c_str();
  const std::string tensors = description.substr(std::min(line + 1, description.size())).c_str();
  const std::string both = metadata + '\n' + tensors;
  file.write_text("format", "softmoe-checkpoint");
  file.write_text("format_version", "1");
  file.write_text("metadata", metadata);
  file.write_text("tensors", tensors);
  file.write_text("checksum", fmt::format("{:016x}", XXH3_64bits(both.data(), both.size())));
  file.close();
}

void read_hdf5(const fs::path& path) {
  const auto checkpoint = load_checkpoint(path);
  use(checkpoint.model);
  use(checkpoint.optimizer);
}

}  // namespace

std::vector<Format> tensor_formats() {
  return {
      {"safetensors",
       "x.safetensors",
       prepare_nothing,
       [](const fs::path& path) { use(read_safetensors(path)); },
       {{safetensors_seeds, write_bytes}, {safetensors_headers, write_safetensors_header}}},
      {"safetensors_index",
       "x.safetensors.index.json",
       prepare_shards,
       [](const fs::path& path) { use(read_safetensors(path)); },
       {{index_seeds, write_bytes}}},
      {"npz",
       "x.npz",
       prepare_nothing,
       [](const fs::path& path) { use(read_npz(path)); },
       {{npz_seeds, write_bytes}, {npy_seeds, write_npy_in_zip}}},
      {"torch_zip",
       "x.pt",
       prepare_nothing,
       [](const fs::path& path) { use(read_torch_file(path).tensors); },
       {{torch_zip_seeds, write_bytes}, {torch_pickle_seeds, write_pickle_in_zip}}},
      {"torch_legacy",
       "x.pth",
       prepare_nothing,
       [](const fs::path& path) { use(read_torch_file(path).tensors); },
       {{torch_legacy_seeds, write_bytes}}},
      {"hdf5",
       "x.h5",
       prepare_nothing,
       read_hdf5,
       {{hdf5_seeds, write_bytes}, {hdf5_descriptions, write_hdf5_description}}},
  };
}

}  // namespace softmoe::fuzz
