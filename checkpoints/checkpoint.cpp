#include "checkpoints/checkpoint.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>
#include <xxhash.h>

#include <array>
#include <string_view>
#include <vector>

#include "checkpoints/formats/read_tensors.h"
#include "checkpoints/formats/tensor_format.h"
#include "core/error.h"
#include "core/version.h"
#include "io/atomic_file.h"
#include "io/bounded_json.h"
#include "io/file_error.h"
#include "io/hdf5.h"
#include "runtime/memory/memory_use.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFormat = "softmoe-checkpoint";

/// How a dtype is written.
struct DtypeRow {
  torch::Dtype dtype;
  std::string_view name;
  Hdf5Type stored;
};
constexpr std::array kDtypes = {
    DtypeRow{torch::kFloat32, "float32", Hdf5Type::kFloat32},
    DtypeRow{torch::kFloat64, "float64", Hdf5Type::kFloat64},
    DtypeRow{torch::kFloat16, "float16", Hdf5Type::kFloat16},
    DtypeRow{torch::kBFloat16, "bfloat16", Hdf5Type::kUInt16},
    DtypeRow{torch::kInt32, "int32", Hdf5Type::kInt32},
    DtypeRow{torch::kInt64, "int64", Hdf5Type::kInt64},
    DtypeRow{torch::kUInt8, "uint8", Hdf5Type::kUInt8},
    DtypeRow{torch::kBool, "bool", Hdf5Type::kUInt8},
};

/// A group of the file and the member that holds it.
struct GroupRow {
  std::string_view name;
  NamedTensors Checkpoint::*tensors;
  bool CheckpointParts::*wanted;
};
constexpr std::array kGroups = {
    GroupRow{"model", &Checkpoint::model, &CheckpointParts::model},
    GroupRow{"optimizer", &Checkpoint::optimizer, &CheckpointParts::optimizer},
    GroupRow{"ema", &Checkpoint::ema, &CheckpointParts::ema},
    GroupRow{"helpers", &Checkpoint::helpers, &CheckpointParts::helpers},
    GroupRow{"tokenizer", &Checkpoint::tokenizer, &CheckpointParts::tokenizer},
};

const DtypeRow* find_dtype(torch::Dtype dtype) {
  const auto* const row = std::find_if(kDtypes.begin(), kDtypes.end(),
                                       [&](const DtypeRow& r) { return r.dtype == dtype; });
  return row == kDtypes.end() ? nullptr : row;
}

const DtypeRow* find_dtype(const std::string& name) {
  const auto* const row = std::find_if(kDtypes.begin(), kDtypes.end(),
                                       [&](const DtypeRow& r) { return r.name == name; });
  return row == kDtypes.end() ? nullptr : row;
}

std::string checksum_text(uint64_t sum) { return fmt::format("{:016x}", sum); }

std::string checksum(const void* data, size_t bytes) {
  return checksum_text(XXH3_64bits(data, bytes));
}

std::string description_checksum(const std::string& metadata, const std::string& tensors) {
  const std::string both = metadata + '\n' + tensors;
  return checksum(both.data(), both.size());
}

/// Writes one tensor and returns its line of the index.
Json write_tensor(Hdf5File& file, const std::string& name, const torch::Tensor& tensor) {
  const DtypeRow* row = find_dtype(tensor.scalar_type());
  TORCH_CHECK_VALUE(row != nullptr, "save_checkpoint: ", name, " has dtype ", tensor.scalar_type());
  TORCH_CHECK_VALUE(!name.ends_with('/') && name.find("//") == std::string::npos,
                    "save_checkpoint: a tensor is called '", name, "'");
  const auto plain = tensor.detach().to(torch::kCPU).contiguous();
  file.write("/" + name, row->stored, plain.sizes().vec(), plain.const_data_ptr());
  return {{"dtype", row->name}, {"xxh3", checksum(plain.const_data_ptr(), plain.nbytes())}};
}

void write_file(Hdf5File& file, const Checkpoint& checkpoint, const TensorToWrite& written) {
  Json tensors = Json::object();
  for_each_tensor(checkpoint, [&](const std::string& name, const torch::Tensor& tensor) {
    tensors[name] = write_tensor(file, name, written ? written(name, tensor) : tensor);
  });
  const std::string metadata_text = checkpoint.metadata.dump();
  const std::string tensors_text = tensors.dump();
  file.write_text("format", std::string(kFormat));
  file.write_text("format_version", std::to_string(kCheckpointFormatVersion));
  file.write_text("softmoe_version", kVersion);
  file.write_text("metadata", metadata_text);
  file.write_text("tensors", tensors_text);
  file.write_text("checksum", description_checksum(metadata_text, tensors_text));
  file.close();
}

/// The two descriptions of a checkpoint.
struct Description {
  Json metadata;
  Json tensors;
};

void check_format(const Hdf5File& file) {
  const std::string where = file.path().string();
  if (!file.has_text("format") || file.read_text("format") != kFormat) {
    throw InputError(where, "a softmoe checkpoint", "another HDF5 file");
  }
  const auto version = file.read_text("format_version");
  if (version != std::to_string(kCheckpointFormatVersion)) {
    throw InputError(
        where, fmt::format("checkpoint format {}", kCheckpointFormatVersion),
        fmt::format(
            "format '{}' of softmoe {}", printable_text(version, 40),
            printable_text(
                file.has_text("softmoe_version") ? file.read_text("softmoe_version") : "?", 40)));
  }
}

Description read_description(const Hdf5File& file) {
  check_format(file);
  const std::string metadata = file.read_text("metadata");
  const std::string tensors = file.read_text("tensors");
  if (description_checksum(metadata, tensors) != file.read_text("checksum")) {
    throw InputError(file.path().string(), "the description that was saved", "an altered one");
  }
  const std::string where = file.path().string();
  Description description{.metadata = parse_json(metadata, where + ": metadata"),
                          .tensors = parse_sorted_json(tensors, where + ": index of tensors")};
  if (!description.tensors.is_object()) {
    throw InputError(where, "an index of tensors by name", description.tensors.type_name());
  }
  return description;
}

/// The text `key` of `entry`; empty if it has none.
std::string text_field(const Json& entry, const char* key) {
  const bool has_text = entry.is_object() && entry.contains(key) && entry[key].is_string();
  return has_text ? entry[key].get<std::string>() : "";
}

/// A tensor of a file that is about to be read.
struct PendingTensor {
  std::string name;
  std::string checksum;  ///< expected
  Hdf5Info info;
  bool is_bool = false;
  torch::Tensor* target = nullptr;
};

std::string place_of(const Hdf5File& file, const std::string& name) {
  return file.path().string() + ": tensor '" + printable_text(name) + "'";
}

/// Makes room for a tensor in `target`. `bytes_left` is the file's length without the tensors that
/// were expected before.
PendingTensor expect_tensor(const Hdf5File& file, const std::string& name, const Json& entry,
                            int64_t& bytes_left, torch::Tensor& target) {
  const std::string where = place_of(file, name);
  const DtypeRow* row = find_dtype(text_field(entry, "dtype"));
  if (row == nullptr) {
    throw InputError(where, "a dtype of this version",
                     "'" + printable_text(text_field(entry, "dtype"), 40) + "'");
  }
  PendingTensor pending{.name = name,
                        .checksum = text_field(entry, "xxh3"),
                        .info = file.info("/" + name),
                        .is_bool = row->dtype == torch::kBool,
                        .target = &target};
  const auto& info = pending.info;
  if (info.type != row->stored || info.stored_bytes != info.bytes) {
    throw InputError(where, fmt::format("{} stored as a whole", row->name),
                     fmt::format("{} of {} bytes", info.stored_bytes, info.bytes));
  }
  // A file may claim more bytes than it has, or the same bytes under many names.
  if (info.bytes > bytes_left) {
    throw InputError(where,
                     fmt::format("at most the {} bytes that are left of the file", bytes_left),
                     fmt::format("{} bytes", info.bytes));
  }
  bytes_left -= info.bytes;
  target = torch::empty(info.shape, pending.is_bool ? torch::kUInt8 : row->dtype);
  return pending;
}

/// Fills the tensors and compares their checksums with those that were saved.
void fill_tensors(const Hdf5File& file, const std::vector<PendingTensor>& pending) {
  std::vector<torch::Tensor> raw;
  for (const auto& tensor : pending) {
    const bool in_pieces = tensor.info.bytes > 0 && !tensor.info.offset;
    if (in_pieces) {
      file.read("/" + tensor.name, tensor.info.type, tensor.target->data_ptr(),
                tensor.target->nbytes());
    }
    raw.push_back(*tensor.target);
  }
  const auto read = [&](size_t index, int64_t begin, void* data, size_t bytes) {
    if (const auto& offset = pending[index].info.offset) {
      file.read_raw("/" + pending[index].name, *offset + begin, data, bytes);
    }
  };
  const auto finish = [&](size_t index, uint64_t sum) {
    const auto& tensor = pending[index];
    const auto found = checksum_text(sum);
    if (found != tensor.checksum) {
      throw InputError(place_of(file, tensor.name),
                       "checksum " + printable_text(tensor.checksum, 40),
                       found + " (the file is damaged)");
    }
  };
  read_tensors(raw, {.read = read, .finish = finish});
  for (const auto& tensor : pending) {
    if (tensor.is_bool) {
      *tensor.target = tensor.target->ne(0);
    }
  }
}

/// Opens a native checkpoint; throws InputError for files of other formats.
Hdf5File open_native(const fs::path& path) {
  auto format = TensorFormat::kHdf5;
  try {
    format = tensor_format(path);
  } catch (const InputError&) {
    if (std::error_code none; fs::is_directory(path, none)) {
      throw;
    }
    // Of no format: HDF5 says what is wrong with the file.
  }
  if (format != TensorFormat::kHdf5) {
    throw InputError(path.string(), "a native checkpoint, as softmoe convert makes of other files",
                     std::string(format_row(format).title));
  }
  return Hdf5File::open(path);
}

}  // namespace

void for_each_tensor(const Checkpoint& checkpoint, const TensorVisitor& visit) {
  for (const auto& group : kGroups) {
    for (const auto& [name, tensor] : checkpoint.*group.tensors) {
      visit(fmt::format("{}/{}", group.name, name), tensor);
    }
  }
}

void save_checkpoint(const fs::path& path, const Checkpoint& checkpoint,
                     const TensorToWrite& written) {
  write_atomically(path, [&](const fs::path& temporary) {
    auto file = Hdf5File::create(temporary, path);
    write_file(file, checkpoint, written);
  });
}

Checkpoint load_checkpoint(const fs::path& path, const CheckpointParts& parts) {
  auto file = open_native(path);
  // A model that is large for this machine must not be in memory twice, nor fill the system's
  // cache; smaller ones are read from the cache the next time.
  constexpr int64_t kMemoryShare = 4;
  file.pass_cache_above(available_memory_bytes(torch::kCPU) / kMemoryShare);
  auto description = read_description(file);
  Checkpoint checkpoint;
  checkpoint.metadata = std::move(description.metadata);
  int64_t bytes_left = file_length(path);
  std::vector<PendingTensor> pending;
  for (const auto& [full_name, entry] : description.tensors.items()) {
    for (const auto& group : kGroups) {
      const std::string prefix = std::string(group.name) + "/";
      if (parts.*group.wanted && full_name.starts_with(prefix)) {
        auto& target = (checkpoint.*group.tensors)[full_name.substr(prefix.size())];
        pending.push_back(expect_tensor(file, full_name, entry, bytes_left, target));
      }
    }
  }
  fill_tensors(file, pending);
  return checkpoint;
}

Json load_metadata(const fs::path& path) { return read_description(open_native(path)).metadata; }

}  // namespace softmoe
