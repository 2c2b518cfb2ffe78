#include "checkpoints/formats/safetensors_header.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <set>
#include <utility>

#include "checkpoints/formats/json_events.h"
#include "core/error.h"
#include "io/shape_bytes.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMetadataKey = "__metadata__";

struct SafetensorsDtype {
  torch::Dtype dtype;
  std::string_view name;
};
constexpr std::array kSafetensorsDtypes = {
    SafetensorsDtype{torch::kFloat64, "F64"}, SafetensorsDtype{torch::kFloat32, "F32"},
    SafetensorsDtype{torch::kFloat16, "F16"}, SafetensorsDtype{torch::kBFloat16, "BF16"},
    SafetensorsDtype{torch::kInt64, "I64"},   SafetensorsDtype{torch::kInt32, "I32"},
    SafetensorsDtype{torch::kInt16, "I16"},   SafetensorsDtype{torch::kInt8, "I8"},
    SafetensorsDtype{torch::kUInt64, "U64"},  SafetensorsDtype{torch::kUInt32, "U32"},
    SafetensorsDtype{torch::kUInt16, "U16"},  SafetensorsDtype{torch::kUInt8, "U8"},
    SafetensorsDtype{torch::kBool, "BOOL"},
};

/// {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, "__metadata__": {...}}
class HeaderEvents : public JsonEvents {
 public:
  using JsonEvents::JsonEvents;

  bool start_object(size_t /*size*/) override {
    if (depth_ == 2) {
      return refuse("an object");
    }
    ++depth_;
    return true;
  }

  bool end_object() override {
    if (--depth_ == 1) {
      finish_entry();
    }
    return true;
  }

  bool key(std::string& text) override {
    if (depth_ == 1) {
      begin_entry(text);
    } else {
      field_ = text;
      if (!fields_.insert(text).second) {
        throw InputError(where(), "one '" + printable_text(text) + "'", "two");
      }
      if (!in_metadata() && text != "dtype" && text != "shape" && text != "data_offsets") {
        refuse("'" + printable_text(text) + "'");
      }
    }
    return true;
  }

  bool string(std::string& text) override {
    if (depth_ == 2 && in_metadata()) {
      header_.metadata.emplace(field_, text);
      return true;
    }
    if (depth_ != 2 || field_ != "dtype" || in_list_) {
      return refuse("a text");
    }
    for (const auto& row : kSafetensorsDtypes) {
      if (row.name == text) {
        entry_.dtype = row.dtype;
        return true;
      }
    }
    throw InputError(where(), "a dtype of F64 to F16, BF16, I64 to I8, U64 to U8 or BOOL",
                     "'" + printable_text(text, 40) + "'");
  }

  bool start_array(size_t /*size*/) override {
    if (depth_ != 2 || in_metadata() || in_list_ ||
        (field_ != "shape" && field_ != "data_offsets")) {
      return refuse("a list");
    }
    in_list_ = true;
    return true;
  }

  bool end_array() override {
    in_list_ = false;
    return true;
  }

  bool number_unsigned(uint64_t value) override {
    auto& list = field_ == "shape" ? entry_.shape : offsets_;
    const size_t limit = field_ == "shape" ? kMaxAxes : 2;
    if (!in_list_ || std::cmp_greater(value, std::numeric_limits<int64_t>::max()) ||
        list.size() == limit) {
      return refuse(in_list_ && list.size() == limit ? "more numbers" : std::to_string(value));
    }
    list.push_back(static_cast<int64_t>(value));
    return true;
  }

  SafetensorsHeader take() { return std::move(header_); }

 private:
  bool in_metadata() const { return name_ == kMetadataKey; }

  std::string where() const override {
    if (depth_ == 0 || name_.empty()) {
      return path_.string();
    }
    return in_metadata() ? path_.string() + ": __metadata__" : safetensors_place(path_, name_);
  }

  std::string expected() const override {
    if (depth_ == 0) {
      return "a header {\"name\": {...}}";
    }
    if (depth_ == 2 && in_metadata()) {
      return "texts";
    }
    return "'dtype', 'shape' and 'data_offsets' [begin, end] in whole numbers";
  }

  void begin_entry(const std::string& name) {
    name_ = name;
    field_.clear();
    fields_.clear();
    offsets_.clear();
    entry_ = {};
    entry_.name = name;
    if (!names_.insert(name).second) {
      throw InputError(safetensors_place(path_, name), "one tensor of a name", "two");
    }
  }

  void finish_entry() {
    if (in_metadata()) {
      return;
    }
    if (fields_.size() != 3 || offsets_.size() != 2) {
      throw InputError(safetensors_place(path_, name_), expected(),
                       fields_.size() != 3 ? fmt::format("{}", fmt::join(fields_, ", "))
                                           : fmt::format("{} offsets", offsets_.size()));
    }
    entry_.begin = offsets_[0];
    entry_.end = offsets_[1];
    header_.entries.push_back(std::move(entry_));
  }

  SafetensorsHeader header_;
  std::set<std::string> names_;
  int depth_ = 0;
  bool in_list_ = false;
  // Of the current entry.
  std::string name_;
  std::string field_;
  std::set<std::string> fields_;
  std::vector<int64_t> offsets_;
  SafetensorsEntry entry_;
};

/// Throws if the bytes of an entry do not lie in the data, or their number is not that of its
/// shape.
void check_extent(const SafetensorsEntry& entry, int64_t data_bytes, const fs::path& path) {
  const auto where = safetensors_place(path, entry.name);
  if (entry.begin > entry.end || entry.end > data_bytes) {
    throw InputError(where, fmt::format("offsets within the {} bytes of data", data_bytes),
                     fmt::format("[{}, {}]", entry.begin, entry.end));
  }
  const auto bytes = shape_bytes(entry.shape, static_cast<int64_t>(c10::elementSize(entry.dtype)));
  if (!bytes) {
    throw InputError(where, "a shape that fits in memory",
                     fmt::format("[{}]", fmt::join(entry.shape, ", ")));
  }
  if (*bytes != entry.end - entry.begin) {
    throw InputError(where, fmt::format("{} bytes by its shape and dtype", *bytes),
                     fmt::format("{}", entry.end - entry.begin));
  }
}

}  // namespace

std::string safetensors_place(const fs::path& path, const std::string& name) {
  return fmt::format("{}: tensor '{}'", path.string(), printable_text(name));
}

std::string_view safetensors_dtype_name(torch::Dtype dtype) {
  for (const auto& row : kSafetensorsDtypes) {
    if (row.dtype == dtype) {
      return row.name;
    }
  }
  return {};
}

SafetensorsHeader parse_safetensors_header(std::string_view text, int64_t data_bytes,
                                           const fs::path& path) {
  HeaderEvents events(path);
  nlohmann::json::sax_parse(text.begin(), text.end(), &events);
  auto header = events.take();
  for (const auto& entry : header.entries) {
    check_extent(entry, data_bytes, path);
  }
  auto& entries = header.entries;
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  int64_t filled = 0;
  for (const auto& entry : entries) {
    if (entry.begin != filled) {
      throw InputError(safetensors_place(path, entry.name),
                       fmt::format("data that begins where the last ends, at {}", filled),
                       entry.begin < filled ? fmt::format("an overlap from {}", entry.begin)
                                            : fmt::format("a gap up to {}", entry.begin));
    }
    filled = entry.end;
  }
  if (filled != data_bytes) {
    throw InputError(path.string(),
                     fmt::format("tensors that fill its {} bytes of data", data_bytes),
                     fmt::format("{} bytes of them", filled));
  }
  return header;
}

}  // namespace softmoe
